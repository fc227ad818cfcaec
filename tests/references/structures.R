# structures.json: covariance structures of random effects, by glmmTMB (cs, diag) and nlme (homcs, homdiag).
#
#   Rscript tests/references/reference.R tests/references structures
#
# Every fit is checked: the criterion is computed again from the dense V at the program's estimates, and minimized
# from there and from elsewhere by two optimizers of R. What the program left undone is found in `above_dense_optimum`.

STRUCTURE_FIT <- 1e-8 # two optimizers agree to that much in the criterion, unless the optimum lies at a boundary

# --- data: whatever a record names lies in `frames`, factors as strings whose levels are in alphabetical order ---

as_strings <- function(frame) {
  frame[] <- lapply(frame, function(column) if (is.factor(column)) as.character(column) else column)
  frame
}

# Responses of `groups` levels under `k` conditions, each measured `times` times, with the covariance `Sigma` between
# conditions, and a covariate x that changes within groups; h crosses them, with slopes in x.
conditions <- function(seed, Sigma, groups = 30, times = 3, sigma = 1, slope = 0) {
  set.seed(seed, "Mersenne-Twister", "Inversion", "Rejection")
  k <- nrow(Sigma)
  d <- expand.grid(time = seq_len(times), f = letters[seq_len(k)], g = sprintf("g%02d", seq_len(groups)),
                   stringsAsFactors = TRUE)
  u <- matrix(rnorm(groups * k), groups) %*% chol_of(Sigma)
  d$x <- round(rnorm(nrow(d)), 3)
  d$w <- round(exp(rnorm(nrow(d), 0, 0.5)), 3)
  d$h <- factor(sprintf("h%d", sample.int(8, nrow(d), replace = TRUE)))
  mean <- 10 + as.integer(d$f) + 0.5 * d$x + 0.7 * rnorm(8)[as.integer(d$h)]
  if (slope > 0) mean <- mean + slope * rnorm(8)[as.integer(d$h)] * d$x
  d$y <- round(mean + u[cbind(as.integer(d$g), as.integer(d$f))] + sigma * rnorm(nrow(d)), 3)
  d[sample.int(nrow(d), floor(0.95 * nrow(d))), c("y", "x", "w", "f", "g", "h")] # not balanced
}

# A root of Sigma, which may be singular.
chol_of <- function(Sigma) {
  e <- eigen(Sigma, symmetric = TRUE)
  t(e$vectors %*% diag(sqrt(pmax(e$values, 0)), nrow(Sigma)))
}

same_correlation <- function(sds, rho) diag(sds) %*% (diag(1 - rho, length(sds)) + rho) %*% diag(sds)

# Groups with numeric slopes: y on x and z, both in columns of the random effects.
slopes <- function(seed, sds, rho, groups = 30, times = 8) {
  set.seed(seed, "Mersenne-Twister", "Inversion", "Rejection")
  n <- groups * times
  d <- data.frame(x = round(runif(n, -1, 1), 3), z = round(rnorm(n), 3), t = round(runif(n), 3),
                  g = factor(rep(sprintf("g%02d", seq_len(groups)), each = times)))
  columns <- cbind(1, d$x, d$z, d$t)[, seq_along(sds)]
  u <- matrix(rnorm(groups * length(sds)), groups) %*% chol_of(same_correlation(sds, rho))
  d$y <- round(2 + d$x - d$z + rowSums(columns * u[as.integer(d$g), ]) + 0.8 * rnorm(n), 3)
  d
}

structure_frames <- function() {
  machines <- as.data.frame(nlme::Machines)
  machines$Worker <- factor(paste0("w", machines$Worker))
  orthodont <- as.data.frame(nlme::Orthodont)
  orthodont$Subject <- factor(as.character(orthodont$Subject))
  orthodont$Sex <- factor(as.character(orthodont$Sex))
  orthodont$half <- factor(ifelse(orthodont$age < 11, "early", "late"))
  sleep <- factor_frame("sleepstudy")[c("Reaction", "Days", "Subject")]
  sleep$Subject <- factor(as.character(sleep$Subject))
  cake <- factor_frame("cake")[c("angle", "recipe", "temp", "replicate")]
  cake$replicate <- factor(sprintf("r%02d", as.integer(as.character(cake$replicate))))
  list(
    Machines = machines[c("score", "Machine", "Worker")],
    Orthodont = orthodont[c("distance", "age", "Sex", "half", "Subject")],
    sleepstudy = sleep, cake = cake,
    two = conditions(11, same_correlation(c(1.5, 0.8), 0.5)),
    three = conditions(12, same_correlation(c(1.5, 0.8, 2), 0.4)),
    three_negative = conditions(13, same_correlation(c(1.5, 1, 2), -0.3)),
    crossed = conditions(24, same_correlation(c(1.5, 0.8, 2), 0.4), groups = 15, slope = 0.6),
    four = conditions(14, same_correlation(c(1.5, 0.8, 1.2, 2), 0.6)),
    alike_two = conditions(15, same_correlation(c(1.3, 1.3), -0.4)),
    alike_three = conditions(16, same_correlation(c(1.3, 1.3, 1.3), 0.5)),
    alike_four = conditions(17, same_correlation(rep(1.3, 4), 0.3)),
    independent_four = conditions(18, same_correlation(c(1.5, 0.8, 1.2, 2), 0)),
    slopes_three = slopes(19, c(1, 0.7, 0.5), 0.4),
    slopes_four = slopes(20, c(1, 0.7, 0.5, 0.9), 0.3),
    # optima at a boundary
    correlation_one = conditions(21, same_correlation(c(1.5, 0.8, 1.2), 1)),
    correlation_lowest = conditions(22, same_correlation(c(1.5, 1.2, 1.8), -0.5)),
    no_variance = conditions(30, diag(c(1.5, 0, 1.2)^2), sigma = 2),
    no_variances = conditions(41, diag(c(0, 0)), sigma = 2)
  )
}

# --- the criterion from the dense V, with beta and sigma profiled ---

# Terms are lists of structure, columns (a right side in R's notation) and group.
term <- function(structure, columns, group) list(structure = structure, columns = columns, group = group)

written <- function(one) {
  sprintf("%s(%s | %s)", if (one$structure == "us") "" else one$structure, one$columns, one$group)
}

our_formula <- function(case) {
  paste(case$fixed, paste(vapply(case$terms, written, ""), collapse = " + "), sep = " + ")
}

columns_of <- function(one, d) model.matrix(as.formula(paste("~", one$columns)), d)

# Lowest correlation of k effects of which all pairs have the same one.
lowest <- function(k) -1 / (k - 1)

# Parameters of a term: logarithms of the (relative) standard deviations, and a logit of the correlation. At a boundary
# they would go on for ever, and glmmTMB's determinant loses its digits; there they end here.
FARTHEST <- 16
n_sds <- function(one, k) if (startsWith(one$structure, "hom")) 1 else k
n_parameters <- function(one, k) n_sds(one, k) + (one$structure %in% c("cs", "homcs"))

as_parameters <- function(one, sds, rho) {
  k <- length(sds)
  sds <- pmax(sds, 1e-8)[seq_len(n_sds(one, k))]
  if (is.null(rho)) return(log(sds))
  share <- (rho - lowest(k)) / (1 - lowest(k))
  c(log(sds), qlogis(min(max(share, 0), 1)))
}

covariance_of <- function(one, par, k) {
  par <- pmin(pmax(par, -FARTHEST), FARTHEST)
  sds <- rep_len(exp(par[seq_len(n_sds(one, k))]), k)
  rho <- if (one$structure %in% c("cs", "homcs")) lowest(k) + (1 - lowest(k)) * plogis(par[length(par)]) else 0
  list(Sigma = sds %o% sds * (diag(1 - rho, k) + rho), sds = sds, rho = rho)
}

dense_criterion <- function(case, d) {
  frame <- model.frame(as.formula(case$fixed), d)
  y <- model.response(frame)
  X <- model.matrix(as.formula(case$fixed), d)
  noise <- if (is.null(case$weights)) rep(1, nrow(d)) else 1 / d[[case$weights]]
  columns <- lapply(case$terms, columns_of, d = d)
  # V is block diagonal by the first group, unless another one crosses it
  groups <- unique(vapply(case$terms, `[[`, "", "group"))
  blocks <- unname(if (length(groups) == 1) split(seq_along(y), d[[groups]]) else list(seq_along(y)))
  together <- lapply(case$terms, function(one) lapply(blocks, function(rows) {
    if (length(blocks) > 1) 1 else outer(d[[one$group]][rows], d[[one$group]][rows], "==")
  }))
  at <- cumsum(c(0, mapply(function(one, Z) n_parameters(one, ncol(Z)), case$terms, columns)))
  pieces <- function(par) lapply(seq_along(case$terms), function(i) {
    covariance_of(case$terms[[i]], par[(at[i] + 1):at[i + 1]], ncol(columns[[i]]))
  })
  solve_at <- function(par) {
    parts <- pieces(par)
    half <- matrix(0, length(y), ncol(X) + 1)
    log_det <- 0
    for (b in seq_along(blocks)) {
      rows <- blocks[[b]]
      V <- diag(noise[rows], length(rows))
      for (i in seq_along(parts)) {
        Z <- columns[[i]][rows, , drop = FALSE]
        V <- V + tcrossprod(Z %*% parts[[i]]$Sigma, Z) * together[[i]][[b]]
      }
      R <- chol(V)
      half[rows, ] <- backsolve(R, cbind(X[rows, , drop = FALSE], y[rows]), transpose = TRUE)
      log_det <- log_det + 2 * sum(log(diag(R)))
    }
    fit <- qr(half[, seq_len(ncol(X)), drop = FALSE])
    rss <- sum(qr.resid(fit, half[, ncol(half)])^2)
    df <- if (case$REML) nrow(X) - ncol(X) else nrow(X)
    extra <- if (case$REML) 2 * sum(log(abs(diag(qr.R(fit))))) else 0
    list(criterion = log_det + extra + df * (1 + log(2 * pi * rss / df)), sigma = sqrt(rss / df),
         fixef = qr.coef(fit, half[, ncol(half)]), parts = parts,
         se = sqrt(diag(chol2inv(qr.R(fit))) * rss / df))
  }
  list(solve_at = solve_at, names = colnames(X), columns = lapply(columns, colnames), n = at[length(at)],
       value = function(par) tryCatch(solve_at(par)$criterion, error = function(e) 1e10))
}

# The lowest value that two optimizers find from some starts, and the lowest of each of them.
minimize <- function(value, starts) {
  by_nlminb <- lapply(starts, function(start) {
    nlminb(start, value, control = list(rel.tol = 1e-15, x.tol = 1e-12, eval.max = 1e4, iter.max = 1e4))$par
  })
  by_bfgs <- lapply(starts, function(start) {
    for (i in 1:3) { # it stops early where its metric is bad: begun again, it goes on
      start <- optim(start, value, method = "BFGS",
                     control = list(reltol = 1e-16, maxit = 1e4, ndeps = rep(1e-5, length(start))))$par
    }
    start
  })
  lowest <- function(pars) pars[[which.min(vapply(pars, value, 0))]]
  list(nlminb = lowest(by_nlminb), bfgs = lowest(by_bfgs))
}

# --- the programs ---

# glmmTMB's minimum, sought on from where it stopped, and from other starts; REML has beta among the random effects.
fit_glmmTMB <- function(case, d, dense) {
  right <- paste(vapply(case$terms, written, ""), collapse = " + ")
  formula <- as.formula(paste(case$fixed, right, sep = " + "), env = globalenv())
  m <- suppressWarnings(glmmTMB::glmmTMB(formula, data = d, REML = case$REML, se = FALSE))
  objective <- m$obj
  polish <- function(par) {
    for (i in 1:3) {
      par <- nlminb(par, objective$fn, objective$gr, lower = -bound, upper = bound,
                    control = list(rel.tol = 1e-15, eval.max = 1e4, iter.max = 1e4))$par
      par <- optim(par, objective$fn, objective$gr, method = "L-BFGS-B", lower = -bound, upper = bound,
                   control = list(factr = 0, pgtol = 0, maxit = 1e3))$par
    }
    par
  }
  thetas <- names(objective$par) == "theta"
  bound <- ifelse(thetas, FARTHEST, Inf)
  starts <- list(pmin(pmax(m$fit$par, -bound), bound), replace(m$fit$par, thetas, 0), replace(m$fit$par, thetas, 0.5))
  pars <- suppressWarnings(lapply(starts, polish))
  par <- pars[[which.min(vapply(pars, objective$fn, 0))]]
  best <- objective$fn(par)
  all <- objective$env$parList(par, objective$env$last.par)
  # theta by terms: logarithms of the standard deviations, then one of the correlation, on a scale of its own
  theta <- par[thetas]
  terms <- list()
  for (i in seq_along(case$terms)) {
    one <- case$terms[[i]]
    k <- length(dense$columns[[i]])
    sds <- exp(theta[seq_len(k)])
    rho <- NULL
    theta <- theta[-seq_len(k)]
    if (one$structure == "cs") {
      rho <- plogis(theta[1]) * (1 - lowest(k)) + lowest(k)
      theta <- theta[-1]
    }
    terms[[i]] <- list(sds = sds, rho = rho)
  }
  stopifnot(length(theta) == 0)
  list(program = sprintf("glmmTMB %s", packageVersion("glmmTMB")), criterion = 2 * best,
       fixef = setNames(as.vector(all$beta), dense$names), sigma = exp(all$betad[1] / 2), terms = terms)
}

NLME_CLASSES <- list(homcs = nlme::pdCompSymm, homdiag = nlme::pdIdent)

# nlme, begun from its own start and from `starts`; the best is kept.
fit_nlme <- function(case, d, dense, starts) {
  fitted_from <- function(par) {
    at <- 0
    random <- list()
    for (i in seq_along(case$terms)) {
      one <- case$terms[[i]]
      k <- length(dense$columns[[i]])
      value <- if (is.null(par)) numeric(0) else {
        covariance_of(one, par[at + seq_len(n_parameters(one, k))], k)$Sigma
      }
      at <- at + n_parameters(one, k)
      form <- as.formula(paste("~", sub("^0 [+] (.*)$", "\\1 - 1", one$columns)))
      random[[one$group]] <- NLME_CLASSES[[one$structure]](value, form = form, data = d)
    }
    weights <- if (!is.null(case$weights)) nlme::varFixed(as.formula(sprintf("~ I(1 / %s)", case$weights)))
    arguments <- list(fixed = as.formula(case$fixed), data = d, random = random, weights = weights,
                      method = if (case$REML) "REML" else "ML",
                      control = nlme::lmeControl(maxIter = 500, msMaxIter = 500, niterEM = 100, tolerance = 1e-12,
                                                 msTol = 1e-14, msVerbose = FALSE, returnObject = TRUE,
                                                 opt = "nlminb"))
    suppressWarnings(tryCatch(do.call(nlme::lme, arguments), error = function(e) NULL))
  }
  fits <- Filter(Negate(is.null), lapply(c(list(NULL), starts), fitted_from))
  m <- fits[[which.max(vapply(fits, function(m) as.numeric(logLik(m)), 0))]]
  matrices <- lapply(case$terms, function(one) as.matrix(m$modelStruct$reStruct[[one$group]]) * m$sigma^2)
  terms <- lapply(matrices, function(S) {
    list(sds = sqrt(diag(S)), rho = if (nrow(S) > 1) S[2, 1] / sqrt(S[1, 1] * S[2, 2]))
  })
  for (i in seq_along(terms)) if (case$terms[[i]]$structure == "homdiag") terms[[i]]["rho"] <- list(NULL)
  # nlme's restricted likelihood is the one of lme4: no factor |X'X|. `nlme_counts_as_lme4` sees to it.
  list(program = sprintf("nlme %s", packageVersion("nlme")), criterion = -2 * as.numeric(logLik(m)),
       fixef = nlme::fixef(m), sigma = m$sigma, terms = terms, se = sqrt(diag(m$varFix)))
}

# --- a record ---

structure_case <- function(id, data, fixed, terms, REML = TRUE, weights = NULL, boundary = NULL) {
  list(id = id, data = data, fixed = fixed, terms = terms, REML = REML, weights = weights, boundary = boundary)
}

structure_record <- function(case, frames) {
  d <- frames[[case$data]]
  dense <- dense_criterion(case, d)
  found <- minimize(dense$value, list(rep(0, dense$n), rep(0.5, dense$n)))
  nlme_case <- all(vapply(case$terms, function(one) startsWith(one$structure, "hom"), NA))
  fit <- if (nlme_case) fit_nlme(case, d, dense, found) else fit_glmmTMB(case, d, dense)
  at <- unlist(mapply(function(one, term) as_parameters(one, term$sds / fit$sigma, term$rho), case$terms, fit$terms,
                      SIMPLIFY = FALSE))
  at_fit <- dense$solve_at(at)
  onward <- minimize(dense$value, c(list(at), found))
  values <- vapply(onward, dense$value, 0)
  above <- fit$criterion - min(values)
  message(sprintf("%-38s %18.9f  above %9.2e  dense %9.2e  optimizers %9.2e  %s", case$id, fit$criterion, above,
                  fit$criterion - at_fit$criterion, diff(range(values)),
                  paste(vapply(fit$terms, function(t) sprintf("%s/%s", paste(signif(t$sds, 3), collapse = " "),
                                                             if (is.null(t$rho)) "" else signif(t$rho, 4)), ""),
                        collapse = "; ")))
  terms <- lapply(seq_along(case$terms), function(i) {
    one <- case$terms[[i]]
    list(structure = one$structure, columns = one$columns, group = one$group, names = as_array(dense$columns[[i]]),
         sds = as_array(fit$terms[[i]]$sds), correlation = fit$terms[[i]]$rho)
  })
  list(id = case$id, program = fit$program, data = case$data, formula = our_formula(case), fixed = case$fixed,
       weights = case$weights, REML = case$REML, boundary = case$boundary, criterion = fit$criterion,
       sigma = fit$sigma, fixef = as_object(fit$fixef[dense$names]),
       se = as_object(setNames(at_fit$se, dense$names)), terms = terms,
       checked = list(dense_at_estimates = at_fit$criterion, dense_optimum_nlminb = values[["nlminb"]],
                      dense_optimum_bfgs = values[["bfgs"]], above_dense_optimum = above,
                      fixef_from_dense = max(abs(fit$fixef[dense$names] - at_fit$fixef) / at_fit$se),
                      se_from_dense = if (!is.null(fit$se)) max(abs(fit$se / at_fit$se - 1))))
}

both <- function(id, ...) list(structure_case(paste(id, "REML", sep = "-"), ..., REML = TRUE),
                               structure_case(paste(id, "ML", sep = "-"), ..., REML = FALSE))

structure_cases <- function() {
  f <- "y ~ f + x"
  by_f <- function(structure) list(term(structure, "0 + f", "g"))
  machines <- function(structure) list(term(structure, "0 + Machine", "Worker"))
  recipes <- function(structure) list(term(structure, "0 + recipe", "replicate"))
  days <- function(structure) list(term(structure, "1 + Days", "Subject"))
  c(
    # glmmTMB: a standard deviation for each column
    both("cs-2-sleepstudy", "sleepstudy", "Reaction ~ Days", days("cs")),
    both("cs-2-conditions", "two", f, by_f("cs")),
    both("cs-3-Machines", "Machines", "score ~ Machine", machines("cs")),
    both("cs-3-conditions", "three", f, by_f("cs")),
    both("cs-3-negative", "three_negative", f, by_f("cs")),
    both("cs-3-slopes", "slopes_three", "y ~ x + z", list(term("cs", "1 + x + z", "g"))),
    both("cs-4-conditions", "four", f, by_f("cs")),
    both("cs-4-slopes", "slopes_four", "y ~ x + z + t", list(term("cs", "1 + x + z + t", "g"))),
    both("diag-2-sleepstudy", "sleepstudy", "Reaction ~ Days", days("diag")),
    both("diag-2-conditions", "two", f, by_f("diag")),
    both("diag-3-Machines", "Machines", "score ~ Machine", machines("diag")),
    both("diag-3-cake", "cake", "angle ~ recipe * temp", recipes("diag")),
    both("diag-4-conditions", "independent_four", f, by_f("diag")),
    both("diag-4-slopes", "slopes_four", "y ~ x + z + t", list(term("diag", "1 + x + z + t", "g"))),
    # several terms, crossed
    both("cs-3-and-intercepts", "crossed", f, list(term("cs", "0 + f", "g"), term("us", "1", "h"))),
    both("cs-3-and-diag", "crossed", f, list(term("cs", "0 + f", "g"), term("diag", "1 + x", "h"))),
    # nlme: one standard deviation
    both("homcs-2-conditions", "alike_two", f, by_f("homcs")),
    both("homcs-2-Orthodont", "Orthodont", "distance ~ age * Sex", list(term("homcs", "0 + half", "Subject"))),
    both("homcs-3-Machines", "Machines", "score ~ Machine", machines("homcs")),
    both("homcs-3-cake", "cake", "angle ~ recipe * temp", recipes("homcs")),
    both("homcs-3-conditions", "alike_three", f, by_f("homcs")),
    both("homcs-4-conditions", "alike_four", f, by_f("homcs")),
    both("homcs-3-weights", "alike_three", f, by_f("homcs"), weights = "w"),
    both("homdiag-2-conditions", "alike_two", f, by_f("homdiag")),
    both("homdiag-2-sleepstudy", "sleepstudy", "Reaction ~ Days", days("homdiag")),
    both("homdiag-3-Machines", "Machines", "score ~ Machine", machines("homdiag")),
    both("homdiag-4-conditions", "alike_four", f, by_f("homdiag")),
    both("homdiag-4-weights", "independent_four", f, by_f("homdiag"), weights = "w"),
    # at a boundary
    both("cs-3-correlation-one", "correlation_one", f, by_f("cs"), boundary = "correlation at 1"),
    both("cs-3-correlation-lowest", "correlation_lowest", f, by_f("cs"), boundary = "correlation at -1/2"),
    both("homcs-3-correlation-lowest", "correlation_lowest", f, by_f("homcs"), boundary = "correlation at -1/2"),
    both("homcs-3-correlation-one", "correlation_one", f, by_f("homcs"), boundary = "correlation at 1"),
    both("diag-3-no-variance", "no_variance", f, by_f("diag"), boundary = "one standard deviation at 0"),
    both("homdiag-2-no-variance", "no_variances", f, by_f("homdiag"), boundary = "standard deviation at 0")
  )
}

# The unstructured model of sleepstudy by lme4, nlme and glmmTMB: all three count the same constants.
criteria_of_programs <- function() {
  d <- factor_frame("sleepstudy")
  lapply(c(REML = TRUE, ML = FALSE), function(REML) {
    by_lme4 <- criterion(fit_quietly(DAYS, d, REML))
    by_nlme <- nlme::lme(Reaction ~ Days, d, ~ Days | Subject, method = if (REML) "REML" else "ML",
                         control = nlme::lmeControl(tolerance = 1e-12, msTol = 1e-14))
    by_glmmTMB <- glmmTMB::glmmTMB(as.formula(DAYS), d, REML = REML)
    values <- c(lme4 = by_lme4, nlme = -2 * as.numeric(logLik(by_nlme)),
                glmmTMB = -2 * as.numeric(logLik(by_glmmTMB)))
    stopifnot(diff(range(values)) < 1e-6)
    as.list(values)
  })
}

structure_answers <- function() {
  frames <- structure_frames()
  records <- parallel::mclapply(structure_cases(), structure_record, frames = frames, mc.cores = 2)
  for (one in records) {
    checked <- one$checked
    stopifnot(abs(checked$dense_at_estimates - one$criterion) < if (is.null(one$boundary)) 1e-8 else 1e-5)
    if (is.null(one$boundary)) {
      stopifnot(abs(checked$dense_optimum_nlminb - checked$dense_optimum_bfgs) < STRUCTURE_FIT,
                checked$above_dense_optimum < STRUCTURE_FIT)
    }
  }
  list(criteria_of_programs = criteria_of_programs(), models = records,
       frames = lapply(frames, function(d) lapply(as_strings(d), as_array)))
}
