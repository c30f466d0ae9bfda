# The field's measures of effects and distributions, next to what knows nothing scores. A part of comparison.R.

min_effects <- 3
of_effects <- c(
  "direction", "spearman", "pearson", "r_within", "r_adjusted", "rmse", "rmse_adjusted", "intercept", "slope",
  "n_effects", "n_outcomes"
)

# Pearson's; NA where one side does not vary beyond rounding.
correlated <- function(first, second) {
  a <- first - mean(first)
  b <- second - mean(second)
  spread <- sqrt(sum(a * a) * sum(b * b))
  largest <- max(max(abs(first)) * max(abs(second)), 1e-30) * length(first)
  if (spread > 1e-12 * largest) sum(a * b) / spread else NA_real_
}

# Differences from the mean of each outcome; what is left of equal effects is rounding.
centered <- function(effects, item) {
  apart <- effects - ave(effects, item)
  ifelse(abs(apart) > 1e-12 * max(abs(effects)), apart, 0)
}

sd_of_all <- function(x) sqrt(mean((x - mean(x))^2))

# The correlation and the miss without people's sampling error, over effects whose error is known.
without_noise <- function(h, error, m) {
  known <- is.finite(error)
  h <- h[known]
  m <- m[known]
  if (length(h) < min_effects) return(c(NA_real_, NA_real_))
  noise <- mean(error[known]^2)
  miss <- sqrt(max(mean((h - m)^2) - noise, 0))
  if (var(h) <= noise) return(c(NA_real_, miss))
  c(clip(correlated(h, m) * sqrt(var(h) / (var(h) - noise)), -1, 1), miss)
}

ladder <- function(h, error, m, item) {
  both <- is.finite(h) & is.finite(m)
  h <- h[both]
  error <- error[both]
  m <- m[both]
  item <- item[both]
  counts <- c(length(h), length(unique(item)))
  if (length(h) < min_effects) return(c(rep(NA_real_, 9), counts))
  r <- correlated(h, m)
  slope <- if (is.na(r)) NA_real_ else r * sd_of_all(h) / sd_of_all(m)
  sign_of <- function(x) ifelse(abs(x) < zero, 0, sign(x))
  adjusted <- without_noise(h, error, m)
  c(
    mean((1 + sign_of(h) * sign_of(m)) / 2), correlated(rank(h), rank(m)), r, correlated(centered(h, item), centered(m, item)),
    adjusted[1], sqrt(mean((h - m)^2)), adjusted[2], mean(h) - slope * mean(m), slope, counts
  )
}

# What a second sample is expected to score: its correlation with the first is the reliability of effects.
second_sample <- function(h, error, item) {
  used <- is.finite(h) & is.finite(error) & error > 0
  h <- h[used]
  error <- error[used]
  item <- item[used]
  n_outcomes <- length(unique(item))
  if (length(h) < min_effects) return(c(rep(NA_real_, 9), length(h), n_outcomes))
  noise <- mean(error^2)
  reliability <- if (var(h) > 0) max(var(h) - noise, 0) / var(h) else NA_real_
  inside <- sum(centered(h, item)^2) / max(length(h) - n_outcomes, 1)
  within <- if (inside > 0 && length(h) > n_outcomes) max(inside - noise, 0) / inside else NA_real_
  true_size <- max(mean(h^2) - noise, 0)
  shrink <- true_size / (true_size + error^2)
  # true effects are normal around 0: the chance that a second measurement has the sign of the first
  same <- pnorm(sign(h) * shrink * h / sqrt(shrink * error^2 + error^2))
  c(
    mean(same), NA_real_, reliability, within, sqrt(reliability), sqrt(2 * noise), sqrt(noise), mean(h) * (1 - reliability),
    reliability, length(h), n_outcomes
  )
}

put_rungs <- function(rungs, p, place) {
  for (i in seq_along(of_effects)) put(paste0("ladder_", of_effects[i]), rungs[i], p, place)
}

# A model's measures of its effects, which are NA where it has none; the first model's effects are those of the floors.
put_ladder <- function(p, seen, predicted, people, is_first) {
  if (nrow(effects) == 0) return(invisible())
  there <- !is.na(predicted)
  h <- people$human[there]
  error <- people$human_se[there]
  item <- effects$item[there]
  put_rungs(ladder(h, error, predicted[there], item), p, NA)
  put_shapes(p, seen)
  if (!is_first) return(invisible())
  put_rungs(ladder(h, error, 0 * h, item), NA, 0)
  put_rungs(ladder(h, error, 0 * h + mean(abs(h), na.rm = TRUE), item), NA, 1)
  put_rungs(second_sample(h, error, item), NA, 2)
}

# How predicted distributions differ from people's: means over cells, then studies.
put_shapes <- function(p, seen) {
  rows <- lapply(seen, function(cell) {
    n <- counts_of(cell$everybody, cell$values)
    if (!cell$ordered || cell$open || !any(cell$answered) || sum(n) <= 1) return(NULL)
    people <- n / sum(n)
    model <- colMeans(cell$shares[cell$answered, , drop = FALSE])
    model <- model / sum(model)
    of_people <- moments(people, cell$values)[2]^2 * sum(n) / (sum(n) - 1)
    ratio <- if (of_people > 0) moments(model, cell$values)[2]^2 / of_people else NA_real_
    c(cell$study, ratio, sum(pmin(people, model)), max(abs(cumsum(people - model))))
  })
  rows <- do.call(rbind, rows)
  for (i in 1:3) {
    means <- if (is.null(rows)) NA_real_ else tapply(rows[, i + 1], rows[, 1], mean_given)
    put(paste0("ladder_", c("variance_ratio", "overlap", "ks")[i]), mean_given(means), p)
  }
}
