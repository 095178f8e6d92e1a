"""Chinese for the Overview, and for the words that all dashboards share."""

TEXTS = {
    # Frame
    "Dashboards": "仪表盘",
    "Data source": "数据源",
    "Last hour": "最近 1 小时",
    "Last 6 hours": "最近 6 小时",
    "Last 12 hours": "最近 12 小时",
    "Last 24 hours": "最近 24 小时",
    "Last 72 hours": "最近 72 小时",
    "Last 7 days": "最近 7 天",
    "Last 30 days": "最近 30 天",
    # Words of many panels
    "All others": "其他合计",
    "Before": "上一周期",
    "Change": "环比",
    "Now": "当前",
    "This period": "本周期",
    # Overview
    "Overview": "总览",
    "What the gateway does, costs and suffers from.": "网关的用量、费用与健康状况。",
    "Usage": "用量",
    "Quality": "质量",
    "Alerts and breaker": "告警与熔断",
    "Who spends": "谁在消费",
    # Numbers at a glance
    "Tokens": "Token 用量",
    "Prompt and completion tokens, channel tests included.": (
        "输入与输出 Token 之和，包含渠道测试。"
    ),
    "Requests": "请求数",
    "Completed requests, channel tests excluded.": "成功完成的请求，不含渠道测试。",
    "Cost": "费用",
    "Quota charged less quota given back, in the currency that the gateway shows.": (
        "已扣额度减去已退额度，按网关所显示的货币换算。"
    ),
    "Active channels": "活跃渠道",
    "Channels that completed a request in this period.": "本周期内至少完成过一次请求的渠道。",
    "Active models": "活跃模型",
    "Models that completed a request in this period.": "本周期内至少完成过一次请求的模型。",
    "Success rate": "成功率",
    (
        "Completed requests among all attempts of this period. Attempts that failed and were "
        "tried again elsewhere count; what the caller did wrong and channel tests do not. Empty "
        "while no failure was ever logged."
    ): (
        "本周期内成功请求占全部尝试的比例。失败后换渠道重试的尝试计入；"
        "调用方自身的错误和渠道测试不计入。网关从未记录过失败时不显示。"
    ),
    "RPM": "每分钟请求数",
    "Completed requests a minute in the last 5 minutes, and a period earlier.": (
        "最近 5 分钟平均每分钟完成的请求数，以及一个周期之前的数值。"
    ),
    "TPM": "每分钟 Token 数",
    "LLM tokens a minute in the last 5 minutes, and a period earlier.": (
        "最近 5 分钟平均每分钟的 Token 数，以及一个周期之前的数值。"
    ),
    "Model health": "模型健康",
    (
        "Models by success rate in the last hour: healthy from 95 %, degraded from 80 %, failing "
        "below. Idle: nobody asked for it. No channel: none that serves it is enabled."
    ): (
        "按最近 1 小时的成功率统计模型数：95 % 及以上为健康，80 % 至 95 % 为降级，"
        "低于 80 % 为故障。空闲：无人调用。无渠道：没有已启用的渠道可提供该模型。"
    ),
    "Healthy": "健康",
    "Degraded": "降级",
    "Failing": "故障",
    "Idle": "空闲",
    "No channel": "无渠道",
    "Channels": "渠道",
    "Channels by status. What the breaker disabled counts as manually disabled.": (
        "各状态的渠道数。被熔断器禁用的渠道计入手动禁用。"
    ),
    "Enabled": "已启用",
    "Manually disabled": "手动禁用",
    "Auto-disabled": "自动禁用",
    "Data is behind by": "数据延迟",
    "Everything older than this is counted. It grows while the data stands still.": (
        "早于此时长的数据已全部计入。数据停止更新时，该值会持续增长。"
    ),
    # Usage
    "Tokens by model": "各模型 Token 用量",
    "Tokens of the 10 models that used most in this period, and of all others together.": (
        "本周期内用量最大的 10 个模型的 Token 数，以及其余模型的合计。"
    ),
    "Tokens by channel": "各渠道 Token 占比",
    "Share of the 10 channels that used most tokens in this period, and of all others.": (
        "本周期内用量最大的 10 个渠道及其余渠道合计的 Token 占比。"
    ),
    "Tokens over time": "Token 用量趋势",
    "Prompt and completion tokens; the line is the part of the prompt served from cache.": (
        "输入与输出 Token；折线为输入中命中缓存的部分。"
    ),
    "Prompt": "输入",
    "Completion": "输出",
    "From cache": "命中缓存",
    "Requests over time": "请求趋势",
    "Completed requests, and failed attempts without those of category client.": (
        "成功完成的请求，以及失败的尝试（不含客户端类错误）。"
    ),
    "Completed": "成功",
    "Failed": "失败",
    "Cost over time": "费用趋势",
    # Quality
    "Latency, p95": "延迟（p95）",
    (
        "95 of 100 completed requests took no longer; first token: of streams that got one. "
        "Not drawn where there were fewer than 20 of them."
    ): (
        "95 % 的成功请求耗时不超过此值；首 Token 仅统计已收到首 Token 的流式请求。"
        "样本少于 20 个时不绘制。"
    ),
    "Whole request": "完整请求",
    "First token": "首 Token",
    "Errors by category": "各类错误",
    "Failed attempts, channel tests excluded. Those of category client count in no rate.": (
        "失败的尝试，不含渠道测试。客户端类错误不计入任何错误率。"
    ),
    "Client": "客户端",
    "Authentication": "鉴权",
    "Rate limit": "限流",
    "Upstream": "上游",
    "Timeout": "超时",
    "Network": "网络",
    "No key": "无可用密钥",
    "Other": "其他",
    # Alerts, and the breaker
    "Alerts firing": "触发中的告警",
    "Alerts that are firing, as listed below.": "正在触发的告警数，明细见下方列表。",
    "Firing": "正在触发",
    "Alerts that are firing, and since when.": "正在触发的告警及其开始时间。",
    "No alert is firing": "没有正在触发的告警",
    "Severity": "级别",
    "Alert": "告警",
    "Rule": "规则",
    "Target": "对象",
    "Since": "开始于",
    "Critical": "严重",
    "Warning": "警告",
    "Info": "提示",
    "Breaker": "熔断器",
    (
        "Enforce: it disables. Dry run: it only says what it would do. Off: it only records. "
        "Held: channels and API keys that it keeps disabled."
    ): ("执行：真正禁用。演练：只说明将会做什么。关闭：只记录。持有：由它保持禁用的渠道和令牌数。"),
    "Mode": "模式",
    "Off": "关闭",
    "Dry run": "演练",
    "Enforce": "执行",
    "Held": "持有",
    "Held by the breaker": "熔断器持有",
    "Channels and API keys that the breaker keeps disabled until they are released.": (
        "由熔断器保持禁用、直到被释放的渠道和令牌。"
    ),
    "The breaker holds nothing": "熔断器当前没有持有任何对象",
    "Kind": "类型",
    "Id": "编号",
    "Name": "名称",
    "Channel": "渠道",
    "API key": "令牌",
    "What the breaker did": "熔断器的处理",
    "What came of the alerts of this period that asked the breaker to act.": (
        "本周期内要求熔断器采取行动的告警的处理结果。"
    ),
    "It was not asked to act": "没有需要处理的告警",
    "When": "时间",
    "Result": "结果",
    "Tripped": "已熔断",
    "Would have tripped": "本应熔断（演练）",
    "Refused": "已拒绝",
    "Released": "已释放",
    # Who spends
    "Cost by API key": "各令牌费用",
    "The 10 API keys that cost most in this period; refunds are not taken off.": (
        "本周期内费用最高的 10 个令牌；未扣除退款。"
    ),
    "Cost by user": "各用户费用",
    "The 10 users that cost most in this period; refunds are not taken off.": (
        "本周期内费用最高的 10 个用户；未扣除退款。"
    ),
}
