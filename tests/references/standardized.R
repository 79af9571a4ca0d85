# Makes the reference figures of standardized curves, in this folder: Rscript standardized.R, or with
# OULAD's learners (oulad_durations.py): Rscript standardized.R durations.csv. `robust_error` is that
# of learners in several strata: each learner's influences on the curves of all strata are added up.
# `covariance` is that with the curve of the first group.
suppressPackageStartupMessages(library(survival))
options(digits = 15)
standardized <- function(set, d, times) {
  size <- table(d$group, d$stratum)
  kept <- colnames(size)[apply(size >= 10, 2, all)]
  d <- d[d$stratum %in% kept, ]
  weight <- table(d$stratum)[kept] / nrow(d)
  ids <- sort(unique(d$id))
  do.call(rbind, lapply(sort(unique(d$group)), function(g) {
    influence <- matrix(0, length(ids), length(times))
    at <- sapply(kept, function(s) {
      own <<- d[d$group == g & d$stratum == s, ]
      f <- survfit(Surv(start, time, event) ~ 1, data = own, timefix = FALSE)
      r <- summary(f, times = times, extend = TRUE)
      ends <- max(own$time)
      unknown <- times > ends & min(f$surv) > 0
      error <- ifelse(r$surv == 0, 0, r$std.err)
      parts <- rowsum(residuals(f, times = times, type = "survival"), own$id)
      parts[, r$surv == 0] <- 0
      place <- match(rownames(parts), ids)
      influence[place, ] <<- influence[place, ] + weight[[s]] * parts
      rbind(ifelse(unknown, NA, r$surv), ifelse(unknown, NA, error))
    })
    s <- at[seq(1, 2 * length(times), 2), , drop = FALSE]
    e <- at[seq(2, 2 * length(times), 2), , drop = FALSE]
    survival <- as.vector(s %*% weight)
    if (g == sort(unique(d$group))[1]) first <<- influence
    data.frame(set, group = g, time = times, n = sum(d$group == g),
               survival, std_error = sqrt(as.vector(e^2 %*% weight^2)),
               robust_error = ifelse(is.na(survival), NA, sqrt(colSums(influence^2))),
               covariance = ifelse(is.na(survival), NA, colSums(influence * first)))
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
