# Makes the reference figures of Cox's model: Rscript cox.R, in this folder, and the tests run
# lifelines on what to_survival gives of the same rows. The data are those of references.R.
suppressPackageStartupMessages(library(survival))
options(digits = 15)
tight <- coxph.control(eps = 1e-12, toler.chol = 1e-13, iter.max = 50)
sets <- sapply(c("gehan", "pbc", "rossi", "ties"), function(n) read.csv(paste0(n, ".csv")), simplify = FALSE)
clustered <- read.csv("clustered.csv")
fits <- list(
  gehan = coxph(Surv(duration, event) ~ group, sets$gehan, control = tight),
  pbc = coxph(Surv(duration, event) ~ group + strata(stratum), sets$pbc, control = tight),
  rossi = coxph(Surv(duration, event) ~ group + stratum, sets$rossi, control = tight),
  ties = coxph(Surv(entry, duration, event) ~ group, subset(sets$ties, entry < duration), control = tight),
  clustered = coxph(Surv(days, event == 1) ~ mode + strata(course), clustered, cluster = id, control = tight),
  continuous = coxph(Surv(continuous, event == 1) ~ mode + strata(course), clustered, cluster = id, control = tight)
)
found <- do.call(rbind, lapply(names(fits), function(n) {
  s <- summary(fits[[n]])$coefficients
  robust <- if ("robust se" %in% colnames(s)) s[, "robust se"] else s[, "se(coef)"]
  data.frame(set = n, term = rownames(s), coef = s[, "coef"], se = robust)
}))
write.csv(found, "cox.csv", row.names = FALSE, quote = FALSE)
