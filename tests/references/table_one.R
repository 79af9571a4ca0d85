# Makes the reference figures of Table 1: Rscript table_one.R [traits.csv], in this folder.
# pbc comes with R; rossi.csv is lifelines' copy of the recidivism data. traits.csv (not kept: rows
# of learners) is made by table_one_oulad.py; without it the figures on OULAD stay as they are.
options(digits = 15)
library(survival)
shares <- function(x, groups) sapply(split(x, groups), function(v) prop.table(table(v)))
# Austin (2009) for numbers, Yang & Dalton (2012) for levels, by solve() on all levels but the first
apart <- function(x, groups) {
  keep <- !is.na(x); x <- x[keep]; groups <- as.character(groups[keep])
  one <- function(pair) {
    own <- groups %in% pair; x <- x[own]; g <- factor(groups[own], levels = pair)
    if (is.numeric(x)) {
      m <- tapply(x, g, mean); s <- tapply(x, g, var)
      return(abs(m[[1]] - m[[2]]) / sqrt(mean(s)))
    }
    p <- prop.table(table(factor(x), g), 2)[-1, , drop = FALSE]
    covariance <- lapply(1:2, function(i) diag(p[, i], nrow(p)) - p[, i] %o% p[, i])
    d <- p[, 1] - p[, 2]
    sqrt(drop(d %*% solve((covariance[[1]] + covariance[[2]]) / 2) %*% d))
  }
  mean(apply(combn(sort(unique(groups)), 2), 2, one))
}
described <- function(set, frame, by, variables) {
  do.call(rbind, lapply(variables, function(name) {
    x <- frame[[name]]; difference <- apart(x, frame[[by]])
    do.call(rbind, lapply(c("(all)", sort(unique(as.character(frame[[by]])))), function(g) {
      own <- if (g == "(all)") x else x[frame[[by]] == g]
      base <- data.frame(set, variable = name, group = g, n = length(own), missing = sum(is.na(own)))
      if (is.numeric(x)) {
        q <- quantile(own, c(.25, .5, .75), na.rm = TRUE)
        return(cbind(base, level = NA, n_level = NA, mean = mean(own, na.rm = TRUE),
                     sd = sd(own, na.rm = TRUE), q1 = q[[1]], median = q[[2]], q3 = q[[3]], difference))
      }
      counts <- table(factor(own, levels = sort(unique(x))))
      cbind(base, level = names(counts), n_level = as.integer(counts), mean = NA, sd = NA, q1 = NA,
            median = NA, q3 = NA, difference, row.names = NULL)
    }))
  }))
}
trial <- pbc[1:312, ]
trial$trt <- ifelse(trial$trt == 1, "penicillamine", "placebo")
for (name in c("stage", "edema", "hepato", "ascites")) trial[[name]] <- as.character(trial[[name]])
trial$sex <- as.character(trial$sex)
columns <- c("age", "bili", "chol", "platelet", "sex", "stage", "edema", "hepato", "ascites")
write.csv(trial[c("trt", columns)], "table_one_pbc.csv", row.names = FALSE, na = "")
rossi <- read.csv("rossi.csv")
rossi$group <- as.character(rossi$group); rossi$stratum <- as.character(rossi$stratum)
found <- rbind(described("pbc", trial, "trt", columns),
               described("pbc by stage", trial, "stage", c("age", "bili", "sex", "edema")),
               described("rossi", rossi, "group", c("duration", "stratum")))
write.csv(found, "table_one.csv", row.names = FALSE, na = "", quote = FALSE)
if (length(commandArgs(TRUE))) {
  oulad <- read.csv(commandArgs(TRUE)[1], na.strings = "", stringsAsFactors = FALSE)
  found <- described("oulad", oulad, "disability",
                     c("gender", "age_band", "imd_band", "percent_grade", "completion", "module"))
  write.csv(found, "table_one_oulad.csv", row.names = FALSE, na = "", quote = FALSE)
}
