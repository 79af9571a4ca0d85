# Makes the reference figures of standardized curves, in this folder: Rscript standardized.R, or with
# OULAD's learners (oulad_durations.py): Rscript standardized.R durations.csv. `robust_error` is that
# of learners in several strata: each learner's influences on the curves of all strata are added up.
# `covariance` is that with the curve of the first group. `mean` and its errors are those of the mean
# restricted to the time.
suppressPackageStartupMessages(library(survival))
options(digits = 15)
standardized <- function(set, d, times) {
  size <- table(d$group, d$stratum)
  kept <- colnames(size)[apply(size >= 10, 2, all)]
  d <- d[d$stratum %in% kept, ]
  weight <- as.vector(table(d$stratum)[kept] / nrow(d))
  ids <- sort(unique(d$id))
  groups <- sort(unique(d$group))
  do.call(rbind, lapply(groups, function(g) {
    of_curve <- of_mean <- matrix(0, length(ids), length(times))
    at <- lapply(seq_along(kept), function(s) {
      own <<- d[d$group == g & d$stratum == kept[s], ]
      f <- survfit(Surv(start, time, event) ~ 1, data = own, timefix = FALSE)
      r <- summary(f, times = times, extend = TRUE)
      means <- sapply(times, function(t)
        if (t < min(f$time)) c(t, 0) else summary(f, rmean = t)$table[c("rmean", "se(rmean)")])
      add <- function(sums, type, still) {
        # Before a stratum's first time nothing varies, and R's residuals of the mean are wrong.
        of <- function(t)
          if (t < min(f$time)) rep(0, nrow(own)) else as.vector(residuals(f, times = t, type = type))
        parts <- rowsum(sapply(times, of), own$id)
        place <- match(rownames(parts), ids)
        sums[place, ] <- sums[place, ] + weight[s] * sweep(parts, 2, still, "*")
        sums
      }
      of_curve <<- add(of_curve, "survival", as.numeric(r$surv > 0))
      of_mean <<- add(of_mean, "rmst", 1)
      found <- rbind(r$surv, ifelse(r$surv == 0, 0, r$std.err), means)
      found[, times > max(own$time) & min(f$surv) > 0] <- NA
      found
    })
    added <- function(row, power) Reduce(`+`, Map(function(a, w) (w * a[row, ])^power, at, weight))
    survival <- added(1, 1)
    if (g == groups[1]) first <<- list(of_curve, of_mean)
    known <- function(x) ifelse(is.na(survival), NA, x)
    data.frame(set, group = g, time = times, n = sum(d$group == g),
               survival, std_error = sqrt(added(2, 2)),
               robust_error = known(sqrt(colSums(of_curve^2))),
               covariance = known(colSums(of_curve * first[[1]])),
               mean = added(3, 1), mean_error = sqrt(added(4, 2)),
               robust_mean_error = known(sqrt(colSums(of_mean^2))),
               mean_covariance = known(colSums(of_mean * first[[2]])))
  }))
}
pbc <- read.csv("pbc.csv")
pbc$time <- pbc$duration; pbc$start <- -1; pbc$id <- seq_len(nrow(pbc)) %% 100
clustered <- read.csv("clustered.csv")
clustered$time <- clustered$days; clustered$start <- -1; clustered$group <- clustered$course
late <- clustered
late$start <- ifelse(late$entry > 0, late$entry, -1)
found <- rbind(standardized("pbc", pbc, c(1, 3, 5, 8)),
               standardized("clustered", clustered, c(5, 20, 40, 60)),
               standardized("late", late, c(5, 20, 40, 60)))
oulad <- commandArgs(TRUE)
if (length(oulad)) {
  d <- read.csv(oulad[1])
  d$group <- d$gender; d$stratum <- paste(d$module, d$run); d$time <- d$duration; d$start <- -1
  d$id <- d$username
  found <- rbind(found, standardized("oulad", d, c(200, 240, 260)))
}
write.csv(found, "standardized.csv", row.names = FALSE, na = "", quote = FALSE)
