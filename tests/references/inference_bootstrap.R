# inference_bootstrap.json: bootstrap intervals of given replicates by R's boot, fits without one level and of repeated
# clusters by lme4, and lme4's names of the parameters.
#
#   Rscript tests/references/inference_bootstrap.R [DIRECTORY]

boot_intervals <- function() {
  # replicates that anybody can make again: skewed, without ties
  t <- exp(sin(seq_len(199) * 1.7) + cos(seq_len(199)^2) / 3)
  t0 <- 1.1
  v <- (0.3 + cos(seq_len(199) * 0.7)^2)^2 # variances of the replicates
  influence <- exp(((1:18) * 7) %% 19 / 6)
  influence <- mean(influence) - influence
  object <- list(t0 = t0, t = matrix(t), R = length(t), sim = "ordinary", stype = "i", call = quote(boot()))
  class(object) <- "boot"
  lapply(c(0.5, 0.9, 0.95, 0.999), function(level) {
    found <- suppressWarnings(
      boot::boot.ci(object, conf = level, type = c("basic", "perc", "bca"), t0 = t0, t = t, L = influence))
    with_variances <- modifyList(object, list(t0 = c(t0, 0.8), t = cbind(t, v)))
    class(with_variances) <- "boot"
    student <- suppressWarnings(boot::boot.ci(with_variances, conf = level, type = "stud"))
    list(level = level, basic = found$basic[4:5], percentile = found$percent[4:5], bca = found$bca[4:5],
         studentized = student$student[4:5])
  })
}

bootstrap_estimates <- function(m) {
  table <- as.data.frame(lme4::VarCorr(m), order = "lower.tri")
  list(criterion = unname(lme4::getME(m, "devcomp")$cmp[["REML"]]), values = c(table$sdcor, unname(lme4::fixef(m))))
}

careful <- lme4::lmerControl(optimizer = "bobyqa", optCtrl = list(rhoend = 1e-9, maxfun = 1e5),
                             calc.derivs = FALSE, check.conv.singular = "ignore")

bootstrap_answers <- function() {
  sleep <- lme4::sleepstudy
  days <- function(d) bootstrap_estimates(lme4::lmer(Reaction ~ Days + (Days | Subject), d, control = careful))
  subjects <- levels(sleep$Subject)
  drawn <- (seq_along(subjects)^2 * 5) %% 18 + 1 # some of them several times, as clusters of their own
  copies <- do.call(rbind, lapply(seq_along(drawn), function(i) {
    own <- sleep[sleep$Subject == subjects[drawn[i]], ]
    own$Subject <- paste(i)
    own
  }))
  # nested and crossed factors: batches drawn, with casks of their own
  pastes <- lme4::Pastes
  batches <- levels(pastes$batch)
  chosen <- c(1, 1, 2, 4, 5, 5, 7, 8, 9, 10)
  pasted <- do.call(rbind, lapply(seq_along(chosen), function(i) {
    own <- pastes[pastes$batch == batches[chosen[i]], ]
    own$batch <- paste(i)
    own
  }))
  plates <- lme4::Penicillin
  letters_drawn <- c(1, 1, 2, 3, 5:24)
  crossed <- do.call(rbind, lapply(seq_along(letters_drawn), function(i) {
    own <- plates[plates$plate == levels(plates$plate)[letters_drawn[i]], ]
    own$plate <- paste(i)
    own
  }))
  named <- list(
    "Reaction ~ Days + (Days | Subject)" = lme4::lmer(Reaction ~ Days + (Days | Subject), sleep),
    "Reaction ~ Days + (Days || Subject)" = lme4::lmer(Reaction ~ Days + (Days || Subject), sleep)
  )
  list(
    intervals = boot_intervals(),
    without = lapply(subjects, function(s) days(sleep[sleep$Subject != s, ])),
    drawn = drawn - 1,
    repeated = days(copies),
    nested = list(drawn = chosen - 1, fit = bootstrap_estimates(
      lme4::lmer(strength ~ 1 + (1 | cask:batch) + (1 | batch), pasted, control = careful))),
    crossed = list(drawn = letters_drawn - 1, fit = bootstrap_estimates(
      lme4::lmer(diameter ~ 1 + (1 | plate) + (1 | sample), crossed, control = careful))),
    names = lapply(named, function(m) rownames(suppressWarnings(
      confint(m, method = "Wald", oldNames = FALSE)))),
    codes = lapply(named, function(m) rownames(suppressWarnings(confint(m, method = "Wald"))))
  )
}

if (!interactive() && any(grepl("inference_bootstrap[.]R$", commandArgs(FALSE)))) {
  script <- sub("^--file=", "", grep("^--file=", commandArgs(FALSE), value = TRUE))
  directory <- if (length(commandArgs(TRUE))) commandArgs(TRUE)[1] else dirname(script)
  write(jsonlite::toJSON(bootstrap_answers(), auto_unbox = TRUE, digits = NA, null = "null", na = "null",
                         pretty = TRUE), file.path(directory, "inference_bootstrap.json"))
}
