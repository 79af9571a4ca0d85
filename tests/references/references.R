# Makes the reference figures that the tests read: Rscript references.R, in this folder.
# rossi.csv is lifelines' copy of the recidivism data; ties.csv is simulated, with heavy ties,
# two kinds of ends and late entries. The other data come with R.
suppressPackageStartupMessages({library(survival); library(cmprsk); library(MASS)})
options(digits = 15)
write <- function(frame, name) write.csv(frame, paste0(name, ".csv"), row.names = FALSE, na = "")

gehan6mp <- data.frame(duration = gehan$time, event = gehan$cens,
                       group = ifelse(gehan$treat == "6-MP", "6-MP", "placebo"))
randomized <- pbc[1:312, ]
pbc312 <- data.frame(duration = randomized$time / 365.25,
                     event = as.integer(randomized$status == 2),
                     group = as.integer(randomized$trt == 1), stratum = randomized$stage,
                     end = randomized$status)
rossi <- read.csv("rossi.csv")
ties <- read.csv("ties.csv")
write(gehan6mp, "gehan")
write(pbc312, "pbc")
sets <- list(gehan = gehan6mp, pbc = pbc312, rossi = rossi, ties = ties)
horizons <- list(gehan = 22, pbc = 10, rossi = 50, ties = 20)

# Kaplan-Meier, Greenwood, the three intervals, Nelson-Aalen
curve <- function(set, group, rows, surv, kind) {
  one <- lapply(c("log-log", "log", "plain"), function(type)
    survfit(surv ~ 1, conf.type = type))
  f <- one[[1]]
  data.frame(set, group, kind, duration = f$time, n_at_risk = f$n.risk, n_events = f$n.event,
             n_censored = f$n.censor, survival = f$surv, std_error = f$surv * f$std.err,
             loglog_low = f$lower, loglog_high = f$upper, log_low = one[[2]]$lower,
             log_high = one[[2]]$upper, plain_low = one[[3]]$lower, plain_high = one[[3]]$upper,
             cumulative_hazard = f$cumhaz, chaz_error = f$std.chaz)
}
curves <- do.call(rbind, lapply(names(sets), function(set) {
  do.call(rbind, lapply(sort(unique(sets[[set]]$group)), function(g) {
    d <- subset(sets[[set]], group == g)
    curve(set, g, d, Surv(d$duration, d$event), "right")
  }))
}))
late <- subset(ties, duration > 0)
truncated <- do.call(rbind, lapply(0:2, function(g) {
  d <- subset(late, group == g)
  # Surv() wants entry < duration; who is there from the start enters before 0.
  curve("ties", g, d, Surv(ifelse(d$entry > 0, d$entry, -1), d$duration, d$event), "late")
}))
write(rbind(curves, truncated), "curves")

# Quantiles with intervals, restricted means, reverse Kaplan-Meier
summaries <- do.call(rbind, lapply(names(sets), function(set) {
  tau <- horizons[[set]]
  do.call(rbind, lapply(sort(unique(sets[[set]]$group)), function(g) {
    d <- subset(sets[[set]], group == g)
    f <- survfit(Surv(duration, event) ~ 1, data = d, conf.type = "log-log")
    q <- quantile(f, c(.25, .5, .75))
    table <- summary(f, rmean = tau)$table
    # Who passes at a time is not at risk of being censored at it: shift the passes a little.
    early <- d$duration - 1e-6 * d$event
    r <- survfit(Surv(early, 1 - event) ~ 1, data = d, conf.type = "log-log")
    follow <- quantile(r, .5)
    data.frame(set, group = g, statistic = c("first quartile", "median", "third quartile",
                                              "restricted mean", "median follow-up"),
               at = c(.25, .5, .75, tau, .5),
               estimate = c(q$quantile, table[["rmean"]], follow$quantile),
               std_error = c(NA, NA, NA, table[["se(rmean)"]], NA),
               ci_low = c(q$lower, NA, follow$lower), ci_high = c(q$upper, NA, follow$upper))
  }))
}))
write(summaries, "summaries")

# Log-rank, plain and stratified; Gray's test
tests <- do.call(rbind, lapply(names(sets), function(set) {
  d <- sets[[set]]
  out <- survdiff(Surv(duration, event) ~ group, data = d)
  rows <- data.frame(set, test = "logrank", end = NA, statistic = out$chisq,
                     df = length(out$n) - 1, p_value = out$pvalue)
  if (!is.null(d$stratum)) {
    out <- survdiff(Surv(duration, event) ~ group + strata(stratum), data = d)
    rows <- rbind(rows, data.frame(set, test = "stratified logrank", end = NA,
                                   statistic = out$chisq, df = nrow(out$obs) - 1,
                                   p_value = out$pvalue))
  }
  if (!is.null(d$end)) for (strata in c(FALSE, TRUE)) {
    out <- if (strata) cuminc(d$duration, d$end, d$group, d$stratum)$Tests
           else cuminc(d$duration, d$end, d$group)$Tests
    rows <- rbind(rows, data.frame(set, test = paste0(if (strata) "stratified ", "gray"),
                                   end = rownames(out), statistic = out[, "stat"],
                                   df = out[, "df"], p_value = out[, "pv"]))
  }
  rows
}))
write(tests, "tests")

# Cumulative incidence: estimates (they are exact at ties) and cmprsk's variance
incidences <- do.call(rbind, lapply(c("pbc", "ties"), function(set) {
  d <- sets[[set]]
  do.call(rbind, lapply(sort(unique(d$group)), function(g) {
    own <- subset(d, group == g)
    out <- cuminc(own$duration, own$end)
    at <- sort(unique(own$duration))
    points <- timepoints(out, at)
    data.frame(set, group = g, end = rep(1:2, each = length(at)), duration = rep(at, 2),
               cumulative_incidence = c(t(points$est)),
               std_error = c(t(sqrt(points$var))))
  }))
}))
write(incidences, "incidences")
writeLines(c(R.version.string, paste("survival", packageVersion("survival")),
             paste("cmprsk", packageVersion("cmprsk"))), "versions.txt")
