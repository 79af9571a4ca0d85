# Makes the reference figures on OULAD, in this folder:
# python oulad_durations.py OULAD_DIR durations.csv, then Rscript oulad.R durations.csv.
# durations.csv (not kept: rows of learners) has duration, event (0, 1), end (0 censored, 1 passed,
# 2 unenrolled), module, run and traits, for the learners whom time_to_pass does not exclude.
suppressPackageStartupMessages({library(survival); library(cmprsk)})
options(digits = 15)
d <- read.csv(commandArgs(TRUE)[1])
fit <- survfit(Surv(duration, event) ~ module, data = d, conf.type = "log-log")
q <- quantile(fit, .5)
t <- summary(fit, rmean = 365)$table
modules <- data.frame(module = sub("module=", "", rownames(t)), n = t[, "records"],
                      events = t[, "events"], median = q$quantile[, 1], low = q$lower[, 1],
                      high = q$upper[, 1], rmean = t[, "rmean"], se = t[, "se(rmean)"])
write.csv(modules, "oulad_modules.csv", row.names = FALSE, na = "")
plain <- survdiff(Surv(duration, event) ~ module, data = d)
stratified <- survdiff(Surv(duration, event) ~ module + strata(run), data = d)
ends <- cuminc(d$duration, d$end, d$module)
tests <- data.frame(test = c("logrank", "stratified logrank", "gray passed", "gray unenrolled"),
                    statistic = c(plain$chisq, stratified$chisq, ends$Tests[, "stat"]),
                    df = c(length(plain$n) - 1, nrow(stratified$obs) - 1, ends$Tests[, "df"]))
write.csv(tests, "oulad_tests.csv", row.names = FALSE)
one <- timepoints(cuminc(d$duration, d$end), c(100, 200, 300, 400))
write.csv(data.frame(end = rep(c("passed", "unenrolled"), each = 4), at = c(100, 200, 300, 400),
                     incidence = c(t(one$est))), "oulad_incidence.csv", row.names = FALSE)
# Withdrawal in each run of each module by each trait: 68 tests with groups of all sizes
withdrawals <- do.call(rbind, lapply(c("gender", "disability", "age_band", "imd_band"), function(trait)
  do.call(rbind, lapply(split(d, list(d$module, d$run), drop = TRUE), function(own) {
    f <- survdiff(Surv(own$duration, own$end == 2) ~ own[[trait]])
    data.frame(module = own$module[1], run = own$run[1], trait, statistic = f$chisq,
               df = sum(f$exp > 0) - 1, p_value = f$pvalue)
  }))))
write.csv(withdrawals, "oulad_withdrawals.csv", row.names = FALSE, quote = FALSE)
