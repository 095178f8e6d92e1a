"""Chinese for the pages about channels, models, API keys and users."""

TEXTS = {
    # Words of several pages
    "Show below": "在下方查看",
    "Show only this": "只看这一个",
    "Status": "状态",
    "Error rate": "错误率",
    "Mean": "平均值",
    "p50": "p50",
    "p95": "p95",
    "p99": "p99",
    "Most requests": "请求数排行",
    "Highest cost": "费用排行",
    "Model": "模型",
    "Models": "模型",
    "User": "用户",
    "Users": "用户",
    "Group": "分组",
    # Channels
    "What each channel does, costs and fails at.": "各渠道的用量、费用与错误情况。",
    "Channels by status": "渠道状态分布",
    "The 10 channels that completed most requests in this period, tests excluded.": (
        "本周期内成功请求最多的 10 个渠道，不含渠道测试。"
    ),
    "The 10 channels that cost most in this period, refunds taken off.": (
        "本周期内费用最高的 10 个渠道，已扣除退款。"
    ),
    (
        "All channels of this period, deleted ones too. Since: when the status was last another, "
        "within 7 days, to ten minutes in the last day and to the hour before. Lasts: how long the "
        "balance lasts at the pace of this period. Error rate: failed attempts among all, without "
        "those of category client and without tests. Percentiles and means are of completed "
        "requests; p95 needs 20 of them."
    ): (
        "本周期内的全部渠道，包括已删除的。"
        "开始于：7 天内状态最后一次变化的时间，一天内精确到十分钟，更早的精确到一小时。"
        "可用时长：按本周期的消耗速度，余额还能用多久。错误率：失败的尝试占全部尝试的比例，"
        "不含客户端类错误和渠道测试。均值与分位数只统计成功请求；少于 20 个请求时不显示 p95。"
    ),
    "Balances that end first": "余额最先用完的渠道",
    (
        "The 15 channels whose balance ends first at the pace of this period. The gateway reads "
        "balances only when told to: by hand, or by CHANNEL_UPDATE_FREQUENCY in its environment."
    ): (
        "按本周期的消耗速度，余额最先用完的 15 个渠道。网关不会自动更新余额：需手动刷新，"
        "或设置环境变量 CHANNEL_UPDATE_FREQUENCY。"
    ),
    "No channel in use has a balance that the gateway knows": "正在使用的渠道都没有余额数据",
    "Slowest models, p95": "最慢的模型，p95",
    "API keys that run out first": "最先用完的令牌",
    "What is slow, what runs out": "哪里慢、什么快用完",
    "Last test": "上次测试",
    "Balance": "余额",
    "Lasts": "可用时长",
    "All channels": "全部渠道",
    "Its models": "该渠道的模型",
    "The 10 models for which the chosen channel completed most requests.": (
        "所选渠道成功请求最多的 10 个模型。"
    ),
    "The chosen channel": "所选渠道",
    # Models
    "What each model is used for, what it costs, how fast it is and how often it fails.": (
        "各模型的用量、费用、速度与错误情况。"
    ),
    "The 10 models with most completed requests in this period, tests excluded.": (
        "本周期内成功请求最多的 10 个模型，不含渠道测试。"
    ),
    "Most tokens": "Token 用量排行",
    "The 10 models that used most tokens in this period.": (
        "本周期内 Token 用量最大的 10 个模型。"
    ),
    "Share of tokens": "Token 占比",
    "Share of the 10 models that used most tokens in this period, and of all others.": (
        "本周期内用量最大的 10 个模型及其余模型合计的 Token 占比。"
    ),
    (
        "All models of this period. Output speed: completion tokens for each second that requests "
        "took. Price: what a million tokens cost, prompt and completion together, after cache and "
        "discounts. Error rate: failed attempts among all, without those of category client and "
        "without tests. p95 needs 20 requests."
    ): (
        "本周期内的全部模型。输出速度：请求耗时内平均每秒输出的 Token 数。"
        "每百万单价：输入与输出合计，已计入缓存和折扣后的实际价格。"
        "错误率：失败的尝试占全部尝试的比例，不含客户端类错误和渠道测试。"
        "少于 20 个请求时不显示 p95。"
    ),
    "Price per million": "每百万单价",
    "Output speed": "输出速度",
    "All models": "全部模型",
    "Slowest, p95": "最慢的模型（p95）",
    "The 10 slowest models: 95 of 100 requests took no longer. From 20 requests on.": (
        "最慢的 10 个模型：95 % 的请求耗时不超过此值。少于 20 个请求的模型不列出。"
    ),
    "First token, p95": "首 Token（p95）",
    "The 10 models that let streams wait longest for the first token, p95.": (
        "流式请求等待首 Token 最久的 10 个模型（p95）。"
    ),
    "Fastest output": "输出最快的模型",
    "The 10 fastest models: completion tokens for each second that requests took.": (
        "输出最快的 10 个模型：请求耗时内平均每秒输出的 Token 数。"
    ),
    "Dearest per million tokens": "每百万 Token 单价排行",
    "The 10 dearest models: what a million tokens cost, after cache and discounts.": (
        "实际单价最高的 10 个模型：每百万 Token 的费用，已计入缓存和折扣。"
    ),
    "Compared": "对比",
    "Its channels": "该模型的渠道",
    "The 10 channels that completed most requests for the chosen model.": (
        "所选模型成功请求最多的 10 个渠道。"
    ),
    "The chosen model": "所选模型",
    # API keys
    "API keys": "令牌",
    "Who uses most, who will run out first, and which API keys nobody uses.": (
        "谁用得最多，谁最先用完，哪些令牌没人用。"
    ),
    "API keys by status": "令牌状态分布",
    "API keys by status.": "各状态的令牌数。",
    "Disabled": "已禁用",
    "Expired": "已过期",
    "Exhausted": "已耗尽",
    "The 10 API keys that were charged most in this period; refunds are not taken off.": (
        "本周期内扣费最多的 10 个令牌；未扣除退款。"
    ),
    "The 10 API keys that used most tokens in this period.": (
        "本周期内 Token 用量最大的 10 个令牌。"
    ),
    (
        "The 100 API keys that were charged most in this period, deleted ones too. An unlimited "
        "key ends with its user's quota. Failed: attempts of every category."
    ): (
        "本周期内扣费最多的 100 个令牌，包括已删除的。不限额度的令牌只受用户额度约束。"
        "失败：包含所有类别的失败尝试。"
    ),
    "Unlimited": "不限",
    "Used ever": "累计已用",
    "Remaining": "剩余额度",
    "Last use": "最后使用",
    "Charged most": "扣费最多",
    "No API key with a limit is in use": "没有正在使用的限额令牌",
    "Run out first": "最先用完",
    (
        "The 15 enabled API keys with a limit that will be used up first at the pace of this "
        "period."
    ): "按本周期的消耗速度，最先用完额度的 15 个已启用令牌。",
    "Runs out in": "剩余时间",
    "Every enabled API key has 20 % or more left": "已启用的令牌剩余额度都在 20 % 以上",
    "Low quota": "额度不足",
    "The 15 enabled API keys that have least of their limit left, below 20 %.": (
        "剩余额度低于 20 % 且比例最低的 15 个已启用令牌。"
    ),
    "Part left": "剩余比例",
    "Every enabled API key was used within 30 days": "所有已启用令牌在 30 天内都用过",
    "Unused for long": "长期未使用",
    "The 15 enabled API keys that were not used for longest, from 30 days on.": (
        "超过 30 天未使用且闲置最久的 15 个已启用令牌。"
    ),
    "Not used for": "闲置时长",
    "To look after": "需要留意",
    # Users
    "Which users use most, and who will run out first.": "哪些用户用得最多，谁最先用完额度。",
    "Number of users": "用户数",
    (
        "Users by status, those that were charged in this period, and those without quota left. "
        "Known: deleted ones too, for 35 days."
    ): (
        "各状态的用户、本周期内有消费的用户，以及额度已用完的用户。“全部”包含删除未满 35 天的用户。"
    ),
    "Known": "全部",
    "Charged": "有消费",
    "Nothing left": "额度用完",
    "The 10 users that were charged most in this period; refunds are not taken off.": (
        "本周期内扣费最多的 10 个用户；未扣除退款。"
    ),
    "The 10 users that used most tokens in this period.": "本周期内 Token 用量最大的 10 个用户。",
    (
        "The 100 users that were charged most in this period, deleted ones too. Used ever: less "
        "refunds, as the gateway counts it. Failed: attempts of every category. Last use: of any "
        "API key of the user."
    ): (
        "本周期内扣费最多的 100 个用户，包括已删除的。累计已用：已扣除退款，与网关的统计一致。"
        "失败：包含所有类别的失败尝试。最后使用：该用户任一令牌的最近一次使用。"
    ),
    (
        "The 15 users with quota left who used none of their API keys for longest, from 30 days on."
    ): "仍有额度、但超过 30 天没有用过任何令牌且闲置最久的 15 个用户。",
    "No user with quota left and an API key was idle for 30 days": (
        "没有仍有额度、令牌却闲置超过 30 天的用户"
    ),
    "No user with quota left is charged": "有剩余额度的用户都没有产生消费",
    "The 15 users whose quota will be used up first at the pace of this period.": (
        "按本周期的消耗速度，最先用完额度的 15 个用户。"
    ),
    "Every user has 20 % or more left": "所有用户剩余额度都在 20 % 以上",
    "The 15 users that have least of their quota left, below 20 %.": (
        "剩余额度低于 20 % 且比例最低的 15 个用户。"
    ),
}
