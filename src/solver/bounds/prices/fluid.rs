//! First prices: the buyers as a fluid.
//!
//! Least works, by weight over work, each flow into the line that is through with them first. Whoever uses a line
//! at a time keeps waiting what has not ended by then, so the price is the weight of that (Smith 1956).

use super::curves::Curves;
use super::market::{Buyer, Market, Offer};

/// The last corner, as a multiple of the time after which the fluid has run off: copies do not fill lines as
/// a fluid does, and the last ones contend for longer.
const STRETCH: f64 = 1.6;
/// Cells grow with time by a factor of e to this from the first to the last.
const BEND: f64 = 2.0;

/// Prices of the fluid on a grid of this many cells.
pub(in crate::solver::bounds) fn prices(market: &Market, cells: usize) -> Curves {
    let lines = flow(market);
    let through = lines
        .iter()
        .map(|line| line.iter().map(|(work, _)| work).sum::<f64>());
    let heads = market.buyers.iter().map(|buyer| buyer.head);
    let last = STRETCH * through.fold(0.0, f64::max) + heads.fold(0.0, f64::max);
    let times = grid(last.clamp(1.0, super::market::LAST as f64), cells);
    let prices = lines.iter().map(|line| weight_left(line, &times)).collect();
    Curves::new(times, prices)
}

/// Corners in whole ms, close together at first.
fn grid(last: f64, cells: usize) -> Vec<f64> {
    let corner = |cell: usize| {
        let part = BEND * cell as f64 / cells as f64;
        (last * part.exp_m1() / BEND.exp_m1()).ceil()
    };
    let mut times: Vec<f64> = (0..=cells).map(corner).collect();
    times.dedup();
    times
}

/// The (work, weight) that each line takes, in order.
fn flow(market: &Market) -> Vec<Vec<(f64, f64)>> {
    let work = |offer: &Offer| {
        let uses = market.uses(offer).iter().copied();
        let (line, share) = uses.max_by(|one, other| one.1.total_cmp(&other.1))?;
        Some((line, share * offer.duration))
    };
    let least = |buyer: &Buyer| {
        let works = market
            .offers(buyer)
            .iter()
            .map(|offer| work(offer).map_or(0.0, |(_, work)| work));
        works.fold(f64::INFINITY, f64::min)
    };
    let mut order: Vec<(f64, usize)> = market
        .buyers
        .iter()
        .enumerate()
        .map(|(index, buyer)| (least(buyer) / buyer.weight.max(f64::MIN_POSITIVE), index))
        .collect();
    order.sort_by(|one, other| one.0.total_cmp(&other.0));
    let mut load = vec![0.0; market.lines.len()];
    let mut lines = vec![Vec::new(); market.lines.len()];
    for (_, index) in order {
        let buyer = &market.buyers[index];
        let offers = market.offers(buyer).iter().map(work);
        let ends = offers.map(|offer| {
            offer.map_or((0.0, None), |(line, work)| {
                (load[line] + buyer.count * work, Some((line, work)))
            })
        });
        if let Some((end, Some((line, work)))) = ends.min_by(|one, other| one.0.total_cmp(&other.0))
        {
            load[line] = end;
            lines[line].push((buyer.count * work, buyer.count * buyer.weight));
        }
    }
    lines
}

/// The weight that has not ended in the middle of each cell; 0 behind the last.
fn weight_left(line: &[(f64, f64)], times: &[f64]) -> Vec<f64> {
    let mut left: f64 = line.iter().map(|(_, weight)| weight).sum();
    let mut ended = 0.0;
    let mut jobs = line.iter().peekable();
    let price = |cell: &[f64]| {
        let middle = (cell[0] + cell[1]) / 2.0;
        while let Some((work, weight)) = jobs.next_if(|(work, _)| ended + work <= middle) {
            ended += work;
            left -= weight;
        }
        let part = jobs
            .peek()
            .map_or(0.0, |(work, weight)| weight * (middle - ended) / work);
        (left - part).max(0.0)
    };
    let prices: Vec<f64> = times.windows(2).map(price).collect();
    prices.into_iter().chain([0.0]).collect()
}
