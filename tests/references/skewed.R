# Makes the reference figures on skewed groups: Rscript skewed.R, in this folder.
# 1,000 simulated learners: `two` splits them 97/3, `three` 70/26/4; times are continuous or whole
# days (heavy ties); some enter late; `end` is 1 (passed), 2 (unenrolled) or 0 (censored).
suppressPackageStartupMessages({library(survival); library(cmprsk)})
options(digits = 15)
write <- function(frame, name)
  write.csv(frame, paste0(name, ".csv"), row.names = FALSE, na = "", quote = FALSE)
bind <- function(parts) do.call(rbind, parts)

set.seed(20240601)
n <- 1000
two <- rep(c("a", "b"), c(970, 30))[sample(n)]
three <- rep(c("x", "y", "z"), c(700, 260, 40))[sample(n)]
stratum <- sample(c("p", "q", "r"), n, TRUE, c(.6, .3, .1))
passes <- rweibull(n, 1.3, 60 * exp(.25 * (two == "b") + .2 * (three == "z") + .3 * (stratum == "q")))
leaves <- rexp(n, 1 / 150)
seen <- runif(n, 20, 120)
entry <- ifelse(runif(n) < .3, runif(n, 0, 15), 0)
exact <- pmin(passes, leaves, seen)
end <- ifelse(exact == passes, 1, ifelse(exact == leaves, 2, 0))
learners <- data.frame(two, three, stratum, continuous = round(exact, 6), days = ceiling(exact),
                       entry = floor(entry), end, reached = as.integer(runif(n) < .3 + .1 * (two == "b")))
learners$entry <- ifelse(learners$entry < pmin(learners$continuous, learners$days), learners$entry, 0)
write(learners, "skewed")
learners <- read.csv("skewed.csv")

AT <- c(5, 15, 30, 60, 90, 110)
HORIZON <- 80
MILESTONE <- 40
cases <- expand.grid(by = c("two", "three"), time = c("continuous", "days"), late = c(FALSE, TRUE),
                     stringsAsFactors = FALSE)
prepared <- function(case) {
  d <- learners
  d$group <- d[[case$by]]
  d$time <- d[[case$time]]
  d$start <- if (case$late) ifelse(d$entry > 0, d$entry, -1) else -1
  d$event <- as.integer(d$end == 1)
  d
}
named <- function(case, ...) data.frame(by = case$by, time = case$time, late = as.integer(case$late), ...)
each <- function(make) bind(lapply(seq_len(nrow(cases)), function(i) make(cases[i, ], prepared(cases[i, ]))))
of_groups <- function(d, make) bind(lapply(sort(unique(d$group)), function(g) make(g, d[d$group == g, ])))
fitted <- function(d, type = "log-log")
  survfit(Surv(start, time, event) ~ 1, data = d, conf.type = type, timefix = FALSE)

# Kaplan-Meier with its three intervals, Nelson-Aalen
write(each(function(case, d) of_groups(d, function(g, own) {
  at <- AT[AT <= max(own$time)]
  of <- lapply(c("log-log", "log", "plain"), function(type) summary(fitted(own, type), times = at))
  f <- of[[1]]
  named(case, group = g, duration = f$time, survival = f$surv, std_error = f$std.err,
        loglog_low = f$lower, loglog_high = f$upper, log_low = of[[2]]$lower,
        log_high = of[[2]]$upper, plain_low = of[[3]]$lower, plain_high = of[[3]]$upper,
        cumulative_hazard = f$cumhaz, hazard_error = f$std.chaz,
        none_low = sapply(f$n.risk, function(n) binom.test(n, n)$conf.int[1]))
})), "skewed_curves")

# Quantiles, restricted means
mean_of <- function(own) summary(fitted(own), rmean = HORIZON)$table[c("rmean", "se(rmean)")]
write(each(function(case, d) of_groups(d, function(g, own) {
  q <- quantile(fitted(own), c(.25, .5, .75))
  mean <- mean_of(own)
  named(case, group = g, statistic = c("first quartile", "median", "third quartile", "restricted mean"),
        estimate = c(q$quantile, mean[1]), std_error = c(NA, NA, NA, mean[2]),
        ci_low = c(q$lower, mean[1] - qnorm(.975) * mean[2]),
        ci_high = c(q$upper, mean[1] + qnorm(.975) * mean[2]))
})), "skewed_summaries")

# The log-rank test. survdiff refuses late entry, so there it is added up time by time, which is
# held against survdiff where nobody enters late and against coxph's score test without ties.
by_hand <- function(d, strata) {
  of <- sort(unique(d$group)); k <- length(of)
  score <- expected <- numeric(k); variance <- matrix(0, k, k)
  for (s in if (strata) split(d, d$stratum) else list(d)) for (t in unique(s$time[s$event == 1])) {
    risk <- s$start < t & s$time >= t
    n <- sapply(of, function(g) sum(risk & s$group == g))
    d_g <- sapply(of, function(g) sum(s$time == t & s$event == 1 & s$group == g))
    m <- sum(n); e <- sum(d_g); p <- n / m
    score <- score + d_g - e * p
    expected <- expected + e * p
    if (m > 1) variance <- variance + e * (m - e) / (m - 1) * (diag(p, k) - outer(p, p))
  }
  use <- which(expected > 0)[-1]
  chi <- sum(score[use] * solve(variance[use, use], score[use]))
  c(chi, length(use), pchisq(chi, length(use), lower.tail = FALSE))
}
logrank <- function(d, strata, late) {
  plus <- if (strata) "+ strata(stratum)" else ""
  hand <- by_hand(d, strata)
  if (late) {
    f <- coxph(as.formula(paste("Surv(start, time, event) ~ group", plus)), data = d, ties = "breslow")
    if (!anyDuplicated(d$time)) stopifnot(all.equal(f$score, hand[1], tolerance = 1e-9))
    return(hand)
  }
  f <- survdiff(as.formula(paste("Surv(time, event) ~ group", plus)), data = d)
  expected <- if (is.matrix(f$exp)) rowSums(f$exp) else f$exp
  found <- c(f$chisq, sum(expected > 0) - 1, f$pvalue)
  stopifnot(all.equal(found, hand, tolerance = 1e-9))
  found
}
write(each(function(case, d) bind(lapply(c(FALSE, TRUE), function(strata) {
  pairs <- combn(sort(unique(d$group)), 2, simplify = FALSE)
  alone <- lapply(pairs, function(p) logrank(d[d$group %in% p, ], strata, case$late))
  all <- logrank(d, strata, case$late)
  tests <- rbind(all, bind(alone))
  named(case, strata = as.integer(strata), group = c("all", sapply(pairs, `[`, 1)),
        other = c("all", sapply(pairs, `[`, 2)), statistic = tests[, 1], df = tests[, 2],
        p_value = tests[, 3], p_adjusted = c(NA, p.adjust(tests[-1, 3], "holm")))
}))), "skewed_logrank")

# Differences to the first group: restricted means, shares that have passed by a time
two_sided <- function(z) 2 * pnorm(-abs(z))
write(each(function(case, d) {
  of <- sort(unique(d$group))
  means <- sapply(of, function(g) mean_of(d[d$group == g, ]))
  points <- lapply(of, function(g) summary(fitted(d[d$group == g, ]), times = MILESTONE))
  bind(lapply(seq_along(of)[-1], function(i) {
    diff <- means[1, i] - means[1, 1]
    error <- sqrt(means[2, i]^2 + means[2, 1]^2)
    ratio <- log(means[1, i] / means[1, 1])
    ratio_error <- sqrt(sum((means[2, c(1, i)] / means[1, c(1, i)])^2))
    one <- points[[i]]; base <- points[[1]]
    z <- log(-log(one$surv)) - log(-log(base$surv))
    s <- function(f) f$std.err / (f$surv * log(f$surv))
    share <- base$surv - one$surv
    named(case, group = of[i], rmst = diff, rmst_low = diff - qnorm(.975) * error,
          rmst_high = diff + qnorm(.975) * error, rmst_p = two_sided(diff / error),
          ratio = exp(ratio), ratio_ci_low = exp(ratio - qnorm(.975) * ratio_error),
          ratio_ci_high = exp(ratio + qnorm(.975) * ratio_error), ratio_p = two_sided(ratio / ratio_error),
          share = share, share_p = two_sided(z / sqrt(s(one)^2 + s(base)^2)),
          share_low = share - sqrt((one$upper - one$surv)^2 + (base$surv - base$lower)^2),
          share_high = share + sqrt((one$surv - one$lower)^2 + (base$upper - base$surv)^2))
  }))
}), "skewed_differences")

# Competing ends: Aalen-Johansen by survfit, Gray's test by cmprsk (no late entry)
write(each(function(case, d) of_groups(d, function(g, own) {
  d <- transform(own, id = seq_along(time), state = factor(end, 0:2, c("censored", "1", "2")))
  f <- summary(survfit(Surv(start, time, state) ~ 1, data = d, id = id, timefix = FALSE),
               times = AT[AT <= max(own$time)])
  # The interval that is symmetric in log(-log(1 - F)), by the delta method.
  bind(lapply(c("1", "2"), function(end) {
    one <- f$pstate[, f$states == end]; error <- f$std.err[, f$states == end]
    shift <- qnorm(.975) * error / ((1 - one) * log(1 - one))
    named(case, group = g, end, duration = f$time, cumulative_incidence = one, std_error = error,
          ci_low = 1 - (1 - one)^exp(shift), ci_high = 1 - (1 - one)^exp(-shift))
  }))
})), "skewed_incidences")
write(bind(lapply(which(!cases$late), function(i) bind(lapply(c(FALSE, TRUE), function(strata) {
  case <- cases[i, ]; d <- prepared(case)
  found <- if (strata) cuminc(d$time, d$end, d$group, d$stratum)$Tests else cuminc(d$time, d$end, d$group)$Tests
  named(case, strata = as.integer(strata), end = rownames(found), statistic = found[, "stat"],
        df = found[, "df"], p_value = found[, "pv"])
})))), "skewed_gray")

# Shares: Wilson, Pearson's test and Fisher's exact test, Cramér's V
write(bind(lapply(c("two", "three"), function(by) {
  table <- table(learners[[by]], learners$reached)
  test <- suppressWarnings(chisq.test(table, correct = FALSE))
  bind(lapply(rownames(table), function(g) {
    k <- table[g, "1"]; m <- sum(table[g, ])
    wilson <- prop.test(k, m, correct = FALSE)$conf.int
    data.frame(by, group = g, n_learners = m, n_reached = k, ci_low = wilson[1], ci_high = wilson[2],
               statistic = test$statistic, df = test$parameter, p_value = test$p.value,
               cramers_v = sqrt(test$statistic / sum(table)))
  }))
})), "skewed_shares")
write(bind(lapply(c("two", "three"), function(by) {
  table <- table(learners[[by]], learners$reached)
  pairs <- combn(rownames(table), 2, simplify = FALSE)
  found <- bind(lapply(pairs, function(p) {
    k <- table[p, "1"]; m <- rowSums(table[p, ])
    test <- suppressWarnings(prop.test(k, m, correct = FALSE))
    wilson <- function(level) sapply(1:2, function(i)
      prop.test(k[i], m[i], correct = FALSE, conf.level = level)$conf.int)
    w <- wilson(.95)
    all <- wilson(1 - .05 / length(pairs))
    r <- k / m
    error <- sqrt(sum(1 / k - 1 / m))
    data.frame(by, group_a = p[1], group_b = p[2], difference = r[1] - r[2],
               low = r[1] - r[2] - sqrt((r[1] - w[1, 1])^2 + (w[2, 2] - r[2])^2),
               high = r[1] - r[2] + sqrt((w[2, 1] - r[1])^2 + (r[2] - w[1, 2])^2),
               all_low = r[1] - r[2] - sqrt((r[1] - all[1, 1])^2 + (all[2, 2] - r[2])^2),
               all_high = r[1] - r[2] + sqrt((all[2, 1] - r[1])^2 + (r[2] - all[1, 2])^2),
               ratio = r[1] / r[2], ratio_ci_low = r[1] / r[2] * exp(-qnorm(.975) * error),
               ratio_ci_high = r[1] / r[2] * exp(qnorm(.975) * error),
               statistic = test$statistic, p_value = test$p.value,
               fisher = fisher.test(table[p, ])$p.value)
  }))
  cbind(found, p_adjusted = p.adjust(found$p_value, "bonferroni"))
})), "skewed_pairs")
