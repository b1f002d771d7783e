//! Prices of room over time, and the bounds that they prove (Lagrangian relaxation).
//!
//! `market` says what is scarce and who wants it, `curves` what it costs when; `learner` and `ascent` find the prices.

pub(super) mod ascent;
pub(super) mod curves;
mod fluid;
mod learner;
pub(super) mod market;
pub(super) mod price;
pub(super) mod tariff;
mod waits;
pub(super) mod window;
