# Makes the reference figures for learners in several courses: Rscript clustered.R, in this folder.
# clustered.csv is simulated: learners in one to four courses with a frailty of their own, so that
# their times are alike; `learner` is constant in a cluster (mode), `course` varies within it.
suppressPackageStartupMessages(library(survival))
options(digits = 15)
write <- function(frame, name)
  write.csv(frame, paste0(name, ".csv"), row.names = FALSE, na = "", quote = FALSE)
set.seed(20240602)
people <- 180
courses <- sample(1:4, people, TRUE)
id <- rep(seq_len(people), courses)
n <- length(id)
frailty <- exp(rnorm(people, 0, 1))[id]
mode <- rep(sample(c("audit", "honor", "verified"), people, TRUE, c(.7, .26, .04)), courses)
course <- sample(c("a", "b"), n, TRUE, c(.8, .2))
stratum <- sample(c("p", "q"), n, TRUE)
time <- rexp(n, frailty / 60)
seen <- runif(n, 10, 120)
entry <- ifelse(runif(n) < .3, runif(n, 0, 10), 0)
d <- data.frame(id, mode, course, stratum, continuous = round(pmin(time, seen), 6) + 1e-6,
                event = as.integer(time <= seen))
d$days <- ceiling(d$continuous)
d$entry <- ifelse(floor(entry) < d$continuous, floor(entry), 0)
write(d, "clustered")
d <- read.csv("clustered.csv")
cases <- expand.grid(by = c("mode", "course"), time = c("continuous", "days"), late = 0:1, strata = 0:1,
                     stringsAsFactors = FALSE)
# The robust score test, with the few clusters taken into account as in the intervals below.
of_clusters <- function(fit, g) {
  score <- summary(fit)$robscore
  data.frame(statistic = score[["test"]], df = score[["df"]],
             p_value = pf(score[["test"]] * (g - 1) / g / score[["df"]], score[["df"]], g - 1, lower.tail = FALSE))
}
tests <- do.call(rbind, lapply(seq_len(nrow(cases)), function(i) {
  case <- cases[i, ]
  d$t <- d[[case$time]]; d$g <- d[[case$by]]
  d$start <- if (case$late) ifelse(d$entry > 0, d$entry, -1) else -1
  formula <- paste("Surv(start, t, event) ~ g", if (case$strata) "+ strata(stratum)" else "")
  f <- coxph(as.formula(formula), data = d, cluster = id, ties = "breslow", timefix = FALSE)
  data.frame(case, of_clusters(f, people))
}))
write(tests, "clustered_logrank")

# The same of each pair of modes
cases_of_mode <- cases[cases$by == "mode", ]
pairs <- do.call(rbind, lapply(seq_len(nrow(cases_of_mode)), function(i) {
  case <- cases_of_mode[i, ]
  d$t <- d[[case$time]]
  d$start <- if (case$late) ifelse(d$entry > 0, d$entry, -1) else -1
  formula <- as.formula(paste("Surv(start, t, event) ~ mode", if (case$strata) "+ strata(stratum)" else ""))
  do.call(rbind, lapply(combn(sort(unique(d$mode)), 2, simplify = FALSE), function(p) {
    own <<- d[d$mode %in% p, ]
    f <- coxph(formula, data = own, cluster = id, ties = "breslow", timefix = FALSE)
    data.frame(case, group = p[1], other = p[2], of_clusters(f, length(unique(own$id)))[c("statistic", "p_value")])
  }))
}))
write(pairs, "clustered_logrank_pairs")

# Curves, restricted means and differences with robust errors: the jackknife's influences added up
# in each learner. Intervals: Student's t with one degree fewer than learners, G / (G - 1).
AT <- 40
HORIZON <- 60
AT_ALL <- c(5, 20, 40, 60)
students <- function(g) qt(.975, g - 1) * sqrt(g / (g - 1))
figures <- lapply(which(cases$strata == 0), function(i) {
  case <- cases[i, c("by", "time", "late")]
  d$t <- d[[case$time]]; d$g <- d[[case$by]]
  d$start <- if (case$late) ifelse(d$entry > 0, d$entry, -1) else -1
  groups <- sort(unique(d$g))
  ids <- sort(unique(d$id))
  of <- lapply(groups, function(g) {
    own <<- d[d$g == g, ]  # residuals() looks for it there
    f <- survfit(Surv(start, t, event) ~ 1, data = own, cluster = id, timefix = FALSE)
    parts <- function(type, time) {
      r <- residuals(f, times = time, type = type)
      tapply(r, factor(own$id, ids), sum, default = 0)
    }
    mean <- summary(f, rmean = HORIZON)$table[["rmean"]]
    list(n = length(unique(own$id)), fit = f, mean = mean, of_mean = parts("rmst", HORIZON),
         at = summary(f, times = AT)$surv, of_at = parts("survival", AT))
  })
  names(of) <- groups
  curve <- do.call(rbind, lapply(groups, function(g) {
    s <- summary(of[[g]]$fit, times = AT_ALL); q <- students(of[[g]]$n)
    shift <- q * s$std.err / (s$surv * log(s$surv))
    data.frame(case, group = g, duration = s$time, survival = s$surv, std_error = s$std.err,
               ci_low = s$surv^exp(-shift), ci_high = s$surv^exp(shift))
  }))
  means <- do.call(rbind, lapply(groups, function(g) {
    error <- sqrt(sum(of[[g]]$of_mean^2))
    data.frame(case, group = g, estimate = of[[g]]$mean, std_error = error,
               ci_low = of[[g]]$mean - students(of[[g]]$n) * error,
               ci_high = of[[g]]$mean + students(of[[g]]$n) * error)
  }))
  base <- of[[1]]
  differences <- do.call(rbind, lapply(groups[-1], function(g) {
    one <- of[[g]]
    error <- sqrt(sum((one$of_mean - base$of_mean)^2))
    ratio <- log(one$mean / base$mean)
    ratio_error <- sqrt(sum((one$of_mean / one$mean - base$of_mean / base$mean)^2))
    scale <- function(x) x$of_at / (x$at * log(x$at))
    z <- (log(-log(one$at)) - log(-log(base$at))) / sqrt(sum((scale(one) - scale(base))^2))
    data.frame(case, group = g, rmst = one$mean - base$mean, normal_error = error,
               normal_p = 2 * pnorm(-abs((one$mean - base$mean) / error)),
               ratio_normal_p = 2 * pnorm(-abs(ratio / ratio_error)),
               share = base$at - one$at, share_z = z)
  }))
  list(curve, means, differences)
})
for (k in 1:3) write(do.call(rbind, lapply(figures, `[[`, k)),
                     paste0("clustered_", c("curves", "means", "differences")[k]))

# Rates of those who passed by day 40: the linearized errors of survey, and Wilson's interval of as
# many learners as the rows are worth; differences from a model with one design for all groups.
suppressPackageStartupMessages(library(survey))
d$reached <- as.integer(d$event == 1 & d$days <= 40)
wilson <- function(p, m, z) {
  centre <- (p + z^2 / (2 * m)) / (1 + z^2 / m)
  half <- z / (1 + z^2 / m) * sqrt(p * (1 - p) / m + z^2 / (4 * m^2))
  c(centre - half, centre + half)
}
rates <- lapply(c("mode", "course"), function(by) {
  groups <- sort(unique(d[[by]]))
  do.call(rbind, lapply(groups, function(g) {
    own <- d[d[[by]] == g, ]
    mean <- svymean(~reached, svydesign(~id, weights = ~1, data = own))
    p <- coef(mean)[[1]]; error <- SE(mean)[[1]]; learners <- length(unique(own$id))
    # svymean's error has the factor of learners / (learners - 1) that Wilson's z gets here.
    worth <- p * (1 - p) / (error^2 * (learners - 1) / learners)
    ends <- wilson(p, worth, students(learners))
    data.frame(by, group = g, n_learners = nrow(own), n_reached = sum(own$reached), std_error = error,
               learners, ci_low = ends[1], ci_high = ends[2])
  }))
})
write(do.call(rbind, rates), "clustered_rates")
pairs <- lapply(c("mode", "course"), function(by) {
  groups <- sort(unique(d[[by]]))
  means <- svyby(~reached, as.formula(paste("~", by)), svydesign(~id, weights = ~1, data = d),
                 svymean, covmat = TRUE)
  v <- vcov(means)
  do.call(rbind, lapply(combn(groups, 2, simplify = FALSE), function(p)
    data.frame(by, group_a = p[1], group_b = p[2],
               correlation = v[p[1], p[2]] / sqrt(v[p[1], p[1]] * v[p[2], p[2]]))))
})
write(do.call(rbind, pairs), "clustered_pairs")
