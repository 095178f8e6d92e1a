"""Chinese for Model status, Alerts and Monitor itself."""

TEXTS = {
    # Model status
    "Model status": "模型状态",
    "Whether each model can be used: its success rate over time, and who can serve it.": (
        "各模型是否可用：成功率的变化，以及有多少渠道可以提供。"
    ),
    "Status over time": "状态趋势",
    (
        "Success rate of each model from point to point: green from 95 %, amber from 80 %, red "
        "below, grey where there was no traffic. Attempts that failed and were tried again "
        "elsewhere count; what the caller did wrong and channel tests do not."
    ): (
        "各模型逐段的成功率：95 % 及以上为绿色，80 % 至 95 % 为黄色，低于 80 % 为红色，"
        "没有流量为灰色。失败后换渠道重试的尝试计入；调用方自身的错误和渠道测试不计入。"
    ),
    (
        "Success rate of each model over the last hours, whatever the range of the dashboard, and "
        "the number of enabled channels that can serve it. A red 0: nobody can use it."
    ): (
        "各模型最近几小时的成功率（与所选时间范围无关），以及可提供该模型的已启用渠道数。"
        "红色的 0 表示该模型已无渠道可用。"
    ),
    "No traffic": "无流量",
    "Unknown: no failure was ever logged. Errors says why": "未知：从未记录过失败，原因见“错误”页",
    "1 h": "1 小时",
    "6 h": "6 小时",
    "12 h": "12 小时",
    "24 h": "24 小时",
    "Requests that failed for the user": "最终失败的请求",
    (
        "Requests of which no attempt succeeded: what people noticed. Told 15 minutes after the "
        "last attempt, and only by gateways that log request ids and failures."
    ): (
        "所有尝试都失败的请求，也就是用户真正感受到的失败。最后一次尝试的 15 分钟后才能确定；"
        "网关需记录请求 ID 和失败日志。"
    ),
    "None, or the gateway does not tell": "没有，或网关未提供相关记录",
    # Alerts
    "Recorded": "已记录",
    "Repeated": "重复",
    "Set again": "再次禁用",
    "Alerts": "告警",
    "What fires, what came of it, how near each rule is, and what the breaker did.": (
        "哪些告警正在触发、处理结果如何、各规则离阈值还有多远，以及熔断器做了什么。"
    ),
    "Silences": "静默管理",
    "Decisions": "处理结果统计",
    (
        "What the breaker decided in this period, by result and reason; what was only recorded "
        "or came again is left out."
    ): "本周期内熔断器的处理结果，按结果和原因统计；不含仅记录的和重复到达的告警。",
    "Alerts over time": "告警时间线",
    "When each alert was firing.": "各告警的触发时段。",
    "No alert was firing": "没有告警触发过",
    "History": "历史",
    "What arrived": "告警记录",
    "No alert arrived": "没有收到告警",
    (
        "The alerts that arrived at the breaker in this period, with or without an action: the "
        "last 200. Value and threshold are in the rule's own unit. A long message is cut; "
        "newapi-breaker history shows it whole."
    ): (
        "本周期内送达熔断器的告警（无论是否要求处理），最多 200 条。数值与阈值采用规则自身的单位。"
        "消息过长时截断，完整消息可用 newapi-breaker history 查看。"
    ),
    "Action": "动作",
    "Notify": "仅通知",
    "Disable channel": "禁用渠道",
    "Disable API key": "禁用令牌",
    "Reason": "原因",
    "Value": "数值",
    "Threshold": "阈值",
    "Rules": "规则",
    "Rules in force": "生效的规则",
    (
        "Every rule in force: how often it told in this period, as far as the last 200 reach, and "
        "when last. The threshold is in the unit of what it is compared with."
    ): (
        "当前生效的全部规则：本周期内告警的次数（以最近 200 条记录为限）与最近一次的时间。"
        "阈值的单位与其比较的指标相同。"
    ),
    "There is no rule: alerts.yml is empty": "没有规则：alerts.yml 为空",
    "No": "否",
    "Yes": "是",
    "Active": "生效中",
    "Times": "次数",
    "Last": "最近一次",
    "How near": "离阈值多远",
    (
        "The 50 targets that are nearest to the threshold of an active rule: from 100 % on it "
        "fires, and a quota of which nothing is left is at 200 %. Too few requests for the rule "
        "are left out. Of rules over all API keys or users, only those above half of it."
    ): (
        "最接近生效规则阈值的 50 个对象：达到 100 % 即触发，额度用完时为 200 %。请求数不足的"
        "对象不列出。针对全部令牌或全部用户的规则，只列出已超过阈值一半的对象。"
    ),
    "No target has a value yet": "还没有对象产生数值",
    "Of the threshold": "占阈值比例",
    # Monitor itself
    "Monitor itself": "监控自身",
    "How fresh, how complete and how loaded the monitor is.": (
        "监控系统自身的数据是否及时、是否完整，以及负载如何。"
    ),
    "Rows to read": "待读行数",
    "Log ids yet to be read. It is 0 but for moments.": "尚未读取的日志 ID 数，平时应为 0。",
    "Complete": "完整度",
    (
        "Whether the sums of today, and the windows of all rules, hold everything since they "
        "begin. After a start the past is read first."
    ): "今日统计和各规则窗口是否已包含起点以来的全部数据。启动后会先补读历史。",
    "Today": "今日",
    "Windows": "规则窗口",
    "Rules file": "规则文件",
    "Whether alerts.yml was read without a mistake; the last good rules are in force.": (
        "alerts.yml 是否正确读取；有错误时沿用上一次正确的规则。"
    ),
    "Has a mistake": "有错误",
    "Good": "正常",
    "File": "文件",
    "Counting since": "计数开始于",
    (
        "When counting began, for certain without a gap: it changes where the exporter's state was "
        "lost, and where rows were deleted before they could be counted."
    ): ("从何时起可以确定没有漏计。exporter 的状态丢失，或有日志在计入之前就被删除时，会改变。"),
    "Version": "版本",
    "The exporter's version; two while one of two exporters is being upgraded.": (
        "exporter 的版本；两个 exporter 升级期间会显示两个版本。"
    ),
    "Unreachable": "连不上",
    "Access refused": "拒绝访问",
    "Missing or not granted": "缺失或无权限",
    "Took too long": "超时",
    "State not saved": "状态未能保存",
    "Mistake in alerts.yml": "alerts.yml 有误",
    "Windows not filled": "窗口未能补齐",
    "Failed requests not settled": "失败请求未能结算",
    "Breaker is off": "熔断器已关闭",
    "Alert is incomplete": "告警不完整",
    "Unknown action": "未知动作",
    "A person enabled it": "有人手动启用",
    "Was disabled": "已被禁用",
    "Off by another trip": "已因其他熔断禁用",
    "Not there": "不存在",
    "Protected": "受保护",
    "Too many trips": "熔断次数过多",
    "Alert too old": "告警已过期",
    "Last channel": "最后一个渠道",
    "Still in service": "仍在服务",
    "By a person": "人工启用",
    "By command": "命令解除",
    "Time was over": "到期解除",
    "Another rule holds it": "另一条规则继续禁用",
    "Off by the gateway": "已由网关禁用",
    "Deleted": "已删除",
    "Gateway disabled it": "网关也禁用了它",
    "Gateway's test": "网关测试",
    "Edit form": "编辑表单",
    "Abilities enabled": "能力表被启用",
    "Reason was lost": "禁用原因丢失",
    "Negative: counted as 0": "负数：按 0 计",
    "Unreadable: counted as 0": "无法读取：按 0 计",
    "Model's name too long: cut": "模型名过长：截短",
    "One API logs no failed attempts": "One API 不记录失败的尝试",
    "No failure was ever logged: set ERROR_LOG_ENABLED=true": (
        "从未记录过失败：请设置 ERROR_LOG_ENABLED=true"
    ),
    "Column $1 is missing or not granted": "缺少列 $1，或没有权限",
    "Programs and options": "程序与选项",
    (
        "The programs that Prometheus reads, and what the gateway is set to. ERROR_LOG_ENABLED is "
        "in no table: it is on where a failure was seen."
    ): (
        "Prometheus 采集的各个程序，以及网关的相关选项。数据库里查不到 ERROR_LOG_ENABLED："
        "见过失败记录，即为开启。"
    ),
    "Not seen": "未见",
    "Down": "已停止",
    "Up": "运行中",
    "Address": "地址",
    "State": "状态",
    "Not available": "不可用的指标",
    "What this gateway cannot tell, and why.": "当前网关无法提供的指标及其原因。",
    "Everything is available": "所有指标均可用",
    "Metric": "指标",
    "Count": "数量",
    "Data was behind by": "数据延迟趋势",
    "How far the counted data is behind the present.": "已计入的数据落后当前时间多久。",
    "Duration of a reading": "单次读取耗时",
    "How long the last reading took; the database's time is most of it.": (
        "最近一次读取的耗时，主要是数据库的时间。"
    ),
    "Reading the log table": "读取日志表",
    "Rows a second": "每秒读取行数",
    "Log rows read a second.": "每秒读取的日志行数。",
    "Failures of the exporter": "exporter 故障",
    "What went wrong in the exporter, by kind; the log says more.": (
        "exporter 内部出现的故障，按类型统计；详情见其日志。"
    ),
    "None": "无",
    "Series": "时间序列数",
    "Series over the log table, the 12 metrics that have most.": (
        "来自日志表的时间序列，列出数量最多的 12 个指标。"
    ),
    "Beyond the limit": "超出上限",
    (
        "Metrics that reached their limit of series: what is new since goes into one series named "
        "other. Sums stay exact."
    ): "时间序列数达到上限的指标：之后新出现的都并入名为 other 的序列，总和仍然准确。",
    "No metric reached its limit": "没有指标达到上限",
    "Additions": "并入次数",
    "Odd values": "异常值",
    "Values of log rows that could not be counted as they stood, and why.": (
        "日志中无法按原样计入的数值及其原因。"
    ),
    "Values": "个数",
    "Series and oddities": "序列与异常",
    "Duration of a scrape": "采集耗时",
    "How long Prometheus takes to read each program.": "Prometheus 采集各程序的耗时。",
    "Decisions of the breaker, p95": "熔断器处理耗时（p95）",
    "From the start of the work on an alert that asks for action to its record: p95.": (
        "从开始处理要求动作的告警到写入记录的耗时（p95）。"
    ),
    "Notices waiting": "待发通知",
    "Notices of the breaker that Alertmanager has not taken yet.": (
        "熔断器尚未被 Alertmanager 接收的通知数。"
    ),
    "Notices": "通知",
    "The other parts": "其他组件",
}
