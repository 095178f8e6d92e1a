"""Chinese for the pages that read the gateway's database: Logs, Errors, Performance."""

TEXTS = {
    # Logs
    "All": "全部",
    "Refund": "退款",
    "Top-up": "充值",
    "Management": "管理",
    "System": "系统",
    "Login": "登录",
    "Type": "类型",
    "Part of the model": "模型（部分匹配）",
    "Part of the key's name": "令牌名称（部分匹配）",
    "Row": "日志编号",
    "Page from (unix time, 0 = newest)": "本页起点（Unix 时间，0 为最新）",
    "Log database": "日志数据库",
    "Newest rows": "最新一页",
    "Logs": "日志",
    "The gateway's own log, filtered and page by page, read from its database.": (
        "直接从网关数据库读取的日志，可筛选、可翻页。"
    ),
    "Found": "筛选结果",
    (
        "What the filters let through, on all pages; at most the last 7 days of the range. Cost: "
        "quota of completed requests less refunds."
    ): (
        "符合筛选条件的全部日志（不只当前页），最多统计所选范围内的最后 7 天。"
        "费用：成功请求的额度减去退款。"
    ),
    "Rows": "行数",
    "Prompt tokens": "输入 Token",
    "Completion tokens": "输出 Token",
    "No row that the filters let through. Chinese text cannot be searched": (
        "没有符合条件的日志。不支持搜索中文"
    ),
    "Rows found": "日志列表",
    (
        "Log rows, newest first, 50 a page. The time leads to the rows before this one, the id to "
        "the whole row below. Of the range at most the last 7 days."
    ): (
        "日志由新到旧排列，每页 50 行。点击时间查看该行之前的日志，点击编号在下方查看完整内容。"
        "最多显示所选范围内的最后 7 天。"
    ),
    "The whole row": "完整内容",
    "Rows before this one": "查看更早的日志",
    "Time": "时间",
    "Duration": "耗时",
    "Choose an id in the list": "请在列表中点击编号",
    "The row whose id was chosen in the list, with all that the gateway noted of it.": (
        "在列表中所选编号的日志，包含网关记录的全部信息。"
    ),
    "Request id": "请求编号",
    "Content": "内容",
    # Errors
    "Part of the message": "错误信息（部分匹配）",
    "Errors": "错误",
    "What fails: of which kind, where, since when, and each with its message.": (
        "哪里出错、错误类型、何时开始，以及每条错误的详细信息。"
    ),
    "Failure logging": "失败日志",
    (
        "Whether a failure was ever logged. New API logs failures only with the line "
        "ERROR_LOG_ENABLED=true in its environment; One API logs none."
    ): (
        "网关是否记录过失败。New API 需设置环境变量 ERROR_LOG_ENABLED=true 才会记录；"
        "One API 不记录失败。"
    ),
    "Never seen: set ERROR_LOG_ENABLED=true": "从未记录：请设置 ERROR_LOG_ENABLED=true",
    "On": "已开启",
    "Logging": "记录",
    (
        "Failed attempts among all of this period, without those of category client and without "
        "channel tests. Empty without traffic, and while no failure was ever logged."
    ): (
        "本周期内失败的尝试占全部尝试的比例，不含客户端类错误和渠道测试。"
        "没有流量或从未记录过失败时不显示。"
    ),
    "By category": "按类别",
    "Failed attempts of this period by category, channel tests excluded.": (
        "本周期内各类别的失败次数，不含渠道测试。"
    ),
    "By status code": "按状态码",
    (
        "Failed attempts by the HTTP status that the gateway noted, tests included; at most the "
        "last 7 days of the range."
    ): "按网关记录的 HTTP 状态码统计的失败次数，含渠道测试；最多统计所选范围内的最后 7 天。",
    "No failure": "没有失败",
    "Code": "状态码",
    "Errors by channel and model": "各渠道与模型的错误",
    "Failed attempts of the 10 pairs of channel and model that failed most.": (
        "失败次数最多的 10 组渠道与模型。"
    ),
    "Channel and model": "渠道与模型",
    (
        "The 50 pairs of channel and model with most failed attempts in this period. Error rate: "
        "without those of category client. Tests are excluded."
    ): ("本周期内失败次数最多的 50 组渠道与模型。错误率不含客户端类错误；均不含渠道测试。"),
    "Where": "错误分布",
    "No failure that the filters let through. Chinese text cannot be searched": (
        "没有符合条件的失败日志。不支持搜索中文"
    ),
    "Failures": "失败列表",
    (
        "Failed attempts, newest first, 50 a page, channel tests too. The time leads to the rows "
        "before this one, the id to the whole row below. Of the range at most the last 7 days."
    ): (
        "失败的尝试由新到旧排列，每页 50 行，含渠道测试。点击时间查看该行之前的日志，"
        "点击编号在下方查看完整内容。最多显示所选范围内的最后 7 天。"
    ),
    "Message": "错误信息",
    "One by one": "逐条查看",
    # Performance
    "Performance": "性能",
    "How long people wait, how much goes through, and which requests were slowest.": (
        "用户等待多久、吞吐量多大，以及哪些请求最慢。"
    ),
    (
        "Mean and percentiles of this period: of completed requests, tests excluded; first token: "
        "of streams that got one. Percentiles from 20 on. Amber above 2 s, red above 5 s."
    ): (
        "本周期的平均值与分位数：统计成功请求，不含渠道测试；首 Token 仅统计已收到首 Token 的"
        "流式请求。样本少于 20 个时不显示分位数。超过 2 秒为黄色，超过 5 秒为红色。"
    ),
    "Time to first token": "首 Token 耗时",
    "Durations": "耗时分布",
    "How many took how long, from point to point; darker is more.": (
        "各时段内不同耗时的请求数，颜色越深数量越多。"
    ),
    "Times to first token": "首 Token 耗时分布",
    "Spread": "分布",
    "Duration over time": "耗时趋势",
    "Of 100, 50, 95 and 99 took no longer. From 20 on.": (
        "50 %、95 %、99 % 的请求耗时不超过此值，样本少于 20 个时不绘制。"
    ),
    "Time to first token over time": "首 Token 耗时趋势",
    "Requests a minute": "每分钟请求数趋势",
    "Mean from point to point, tests excluded of requests.": (
        "各时段的平均值，请求数不含渠道测试。"
    ),
    "A minute": "每分钟",
    "Tokens a minute": "每分钟 Token 数趋势",
    "Throughput": "吞吐量",
    "No completed request. A model with a Chinese name cannot be searched": (
        "没有成功的请求。名称含中文的模型无法查找"
    ),
    "20 slowest requests": "最慢的 20 个请求",
    (
        "The 20 completed requests of this period that took longest, of at most its last 7 days. "
        "Amber above 2 s, red above 5 s. The gateway stores whole seconds, and a retry counts "
        "from the first attempt."
    ): (
        "本周期内耗时最长的 20 个成功请求，最多取最后 7 天。超过 2 秒为黄色，超过 5 秒为红色。"
        "网关以整秒记录耗时；重试过的请求从第一次尝试算起。"
    ),
    "Slowest requests": "最慢的请求",
}
