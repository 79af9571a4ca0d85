# Makes the reference figures of groups compared within courses: Rscript within.R, in this folder.
suppressPackageStartupMessages(library(survey))
options(digits = 15, survey.lonely.psu = "adjust")
d <- read.csv("clustered.csv")
d$reached <- as.integer(d$event == 1 & d$days <= 40)
d$row <- seq_len(nrow(d))
cases <- expand.grid(by = c("mode", "course"), strata = c("stratum", "course"), stringsAsFactors = FALSE)
cases <- cases[cases$by != cases$strata, ]
found <- lapply(seq_len(nrow(cases)), function(i) {
  by <- cases$by[i]; strata <- cases$strata[i]
  do.call(rbind, lapply(combn(sort(unique(d[[by]])), 2, simplify = FALSE), function(p) {
    own <- d[d[[by]] %in% p, ]
    own$s <- own[[strata]]
    population <- data.frame(xtabs(~s, own))
    # A group's rate, post-stratified to the strata of both: its error without n / (n - 1).
    standard <- lapply(p, function(g) {
      of <- own[own[[by]] == g, ]
      design <- svydesign(~row, weights = ~1, data = of)
      mean <- svymean(~reached, postStratify(design, ~s, population))
      c(coef(mean)[[1]], SE(mean)[[1]] * sqrt((nrow(of) - 1) / nrow(of)))
    })
    test <- mantelhaen.test(table(own[[by]], own$reached, own$s), correct = FALSE)
    data.frame(by, strata, group_a = p[1], group_b = p[2],
               rate_a = standard[[1]][1], error_a = standard[[1]][2],
               rate_b = standard[[2]][1], error_b = standard[[2]][2], p_value = test$p.value)
  }))
})
write.csv(do.call(rbind, found), "within.csv", row.names = FALSE, na = "", quote = FALSE)
