# Makes the reference figures of incidences of learners in several courses, in this folder:
# Rscript clustered_incidence.R, or with OULAD's learners (oulad_durations.py) durations.csv.
# survfit() of several states does not heed cluster: the jackknife's influences of its rows, that
# residuals() gives, are added up in each learner.
suppressPackageStartupMessages(library(survival))
options(digits = 15)
robust <- function(set, d, times) do.call(rbind, lapply(sort(unique(d$group)), function(g) {
  own <- d[d$group == g, ]
  own$row <- seq_len(nrow(own))
  own$state <- factor(own$end, 0:2, c("censored", "passed", "left"))
  own <<- own  # residuals() looks for it there
  f <- survfit(Surv(start, time, state) ~ 1, data = own, id = row, timefix = FALSE)
  s <- summary(f, times = times)
  k <- match(c("passed", "left"), s$states)
  error <- sapply(s$time, function(at) {
    influences <- matrix(residuals(f, times = at, type = "pstate"), nrow(own))
    sqrt(colSums(rowsum(influences, own$id)^2))
  })
  data.frame(set, group = g, end = rep(c("passed", "left"), each = length(s$time)),
             time = s$time, incidence = as.vector(s$pstate[, k]),
             std_error = as.vector(t(error[k, , drop = FALSE])))
}))
d <- read.csv("clustered.csv")
d$end <- ifelse(d$event == 0, 0, ifelse(seq_len(nrow(d)) %% 3 == 0, 2, 1))
d$group <- d$course; d$start <- -1; d$time <- d$continuous
days <- d; days$time <- d$days
late <- days; late$start <- ifelse(d$entry > 0, d$entry, -1)
ties <- read.csv("ties.csv")
ties <- ties[ties$duration > 0, ]
ties$time <- ties$duration; ties$start <- -1; ties$id <- (seq_len(nrow(ties)) - 1) %/% 4
found <- rbind(robust("continuous", d, c(5, 20, 40, 60)), robust("days", days, c(5, 20, 40, 60)),
               robust("late", late, c(5, 20, 40, 60)), robust("ties", ties, c(2, 5, 10, 20)))
oulad <- commandArgs(TRUE)
if (length(oulad)) {
  d <- read.csv(oulad[1])
  d$group <- d$gender; d$id <- d$username; d$time <- d$duration; d$start <- -1
  found <- rbind(found, robust("oulad", d, c(60, 120, 200, 240)))
}
write.csv(found, "clustered_incidence.csv", row.names = FALSE, na = "", quote = FALSE)
