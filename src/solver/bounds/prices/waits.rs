//! Prices of waiting: what a copy that others wait for pays for being late.
//!
//! Where all copies of j wait for all copies of i, the mean end of i is at most the mean start of j. A price mu >= 0
//! on their difference adds mu / (copies of i) x end to what a copy of i costs, and takes mu / (copies of j) x start
//! from what a copy of j does: a part of the weight of j is carried by i. No copy may gain by being late, so j passes on
//! at most its own weight and what it carries for others.

use crate::solver::bounds::Job;
use crate::solver::instance::Instance;

use super::curves::Curves;
use super::market::{Buyer, Market};

/// At most so many waits have a price, the heaviest ones: learning takes a matrix of the square of their number.
const MOST: usize = 512;
/// Part of its weight that a copy may pass on, so that rounding leaves it some.
const PASSED_ON: f64 = 0.999;

/// One buyer waits for another one.
#[derive(Clone, Copy, Debug)]
pub(in crate::solver::bounds) struct Wait {
    /// Indices into `Market::buyers`.
    pub before: usize,
    pub after: usize,
}

/// What a millisecond costs a copy.
#[derive(Clone, Copy, Debug)]
pub(in crate::solver::bounds) struct Pace {
    /// Of a later end.
    pub end: f64,
    /// What a later start saves.
    pub start: f64,
}

/// Who waits for whom. Of two waits of one chain the later one comes first.
pub(in crate::solver::bounds) fn of(
    instance: &Instance,
    buyers: &[Buyer],
    jobs: &[&Job],
) -> Vec<Wait> {
    let mut buyer_of = vec![None; instance.tasks.len()];
    for (index, buyer) in buyers.iter().enumerate() {
        buyer_of[buyer.task] = Some(index);
    }
    let mut waits: Vec<Wait> = Vec::new();
    for job in jobs {
        let task = job.view.index;
        let Some(after) = buyer_of[task] else {
            continue;
        };
        let before = job.view.after.iter().filter_map(|&task| buyer_of[task]);
        waits.extend(before.map(|before| Wait { before, after }));
    }
    let weight = |wait: &Wait| buyers[wait.after].count * buyers[wait.after].weight;
    waits.sort_by(|one, other| weight(other).total_cmp(&weight(one)));
    waits.truncate(MOST);
    waits.sort_by_key(|wait| std::cmp::Reverse(buyers[wait.after].task));
    waits
}

/// What time costs a copy of each buyer, at these prices of the waits.
pub(in crate::solver::bounds) fn paces(market: &Market, prices: &[f64]) -> Vec<Pace> {
    let own = |buyer: &Buyer| Pace {
        end: buyer.weight,
        start: 0.0,
    };
    let mut paces: Vec<Pace> = market.buyers.iter().map(own).collect();
    for (wait, price) in market.waits.iter().zip(prices) {
        paces[wait.before].end += price / market.buyers[wait.before].count;
        paces[wait.after].start += price / market.buyers[wait.after].count;
    }
    paces
}

/// Lowers prices by which somebody would gain by being late.
pub(in crate::solver::bounds) fn allow(market: &Market, prices: &mut [f64]) {
    let weights = market.buyers.iter().map(|buyer| buyer.count * buyer.weight);
    let mut carried: Vec<f64> = weights.collect();
    let mut at = 0;
    for same in market.waits.chunk_by(|one, other| one.after == other.after) {
        let prices = &mut prices[at..at + same.len()];
        at += same.len();
        let most = PASSED_ON * carried[same[0].after];
        let all: f64 = prices.iter().sum();
        for (wait, price) in same.iter().zip(prices) {
            if all > most {
                *price *= most / all;
            }
            carried[wait.before] += *price;
        }
    }
}

/// All that copies who wait, or are waited for, could cost for ever so late an end: rounding is a part of it.
pub(in crate::solver::bounds) fn magnitude(market: &Market, curves: &Curves) -> f64 {
    let paces = paces(market, &curves.waits);
    let of_buyer = |(buyer, pace): (&Buyer, &Pace)| {
        let offers = market.offers(buyer).iter();
        let longest = offers.map(|offer| offer.duration).fold(0.0, f64::max);
        let last = curves.times[curves.cells()].max(buyer.head) + longest;
        buyer.count * (pace.end + pace.start) * last
    };
    let linked = market
        .buyers
        .iter()
        .zip(&paces)
        .filter(|(buyer, pace)| pace.end + pace.start != buyer.weight);
    linked.map(of_buyer).sum()
}
