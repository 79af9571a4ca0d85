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
tests <- do.call(rbind, lapply(seq_len(nrow(cases)), function(i) {
  case <- cases[i, ]
  d$t <- d[[case$time]]; d$g <- d[[case$by]]
  d$start <- if (case$late) ifelse(d$entry > 0, d$entry, -1) else -1
  formula <- paste("Surv(start, t, event) ~ g", if (case$strata) "+ strata(stratum)" else "")
  f <- coxph(as.formula(formula), data = d, cluster = id, ties = "breslow", timefix = FALSE)
  robust <- summary(f)$robscore
  data.frame(case, statistic = robust[["test"]], df = robust[["df"]], p_value = robust[["pvalue"]])
}))
write(tests, "clustered_logrank")
