//! Several batches under Makespan: the least ends that nothing refutes, by branch and bound.
//!
//! For prices that never rise, a copy of a batch that ends by L pays at least what it pays where it ends just then, in
//! its cheapest mode; all copies together pay at most what is left of the lines costs. So prices refute ends
//! (L1, ..., Lk) for which the payments are more, and with them all ends that are nowhere later. The space of ends is
//! cut into boxes: if the upper corner of a box is refuted, no plan ends in it; else it is halved, and where it is
//! small, prices that refute its upper corner are learnt (a cutting plane for the boxes to come; Benders 1962). The
//! boxes are taken up in the order of the weighted sum of their lower corners. That of the next one is the bound.
//!
//! Unlike in `batches.rs` no batch chooses its end for itself. Rounding as in `price.rs`.

use std::cmp::{Ordering, Reverse};
use std::collections::{BTreeMap, BinaryHeap};

use crate::solver::bounds::Relaxation;
use crate::solver::bounds::prices::ascent::Ascent;
use crate::solver::bounds::prices::curves::Curves;

use super::falling::{Buyer, Falling, Grid};

/// More batches than this make too many boxes.
const MOST_BATCHES: usize = 8;
/// Behind the work of all, one after the other, nothing is scarce.
const GRID: Grid = Grid {
    cells: 48,
    most_cells: 192,
    stretch: 2.0,
};
/// Boxes are halved until no side is longer than this part of its end.
const SMALL: f64 = 0.002;
/// Rounds of learning at a corner.
const PATIENCE: usize = 30;
/// Boxes that wait, at most.
const MOST_BOXES: usize = 100_000;
/// The first step, as a part of what would reach the double value.
const REACH: f64 = 0.02;
/// Part of all magnitudes that is taken off for rounding.
const MARGIN: f64 = 1e-11;

/// A bound that rises with each box.
pub(in crate::solver::bounds) struct Corners {
    copies: Falling,
    cuts: Vec<Cut>,
    /// For each batch the ends that were looked at, with what it pays then at the prices of each cut so far.
    points: Vec<Vec<(f64, Vec<f64>)>>,
    known: Vec<BTreeMap<i64, usize>>,
    boxes: BinaryHeap<Reverse<Box>>,
    bound: f64,
    is_final: bool,
}

/// Prices that refute something.
struct Cut {
    /// How much the prices drop at the end of each cell, line by line.
    drops: Vec<f64>,
    curves: Curves,
    /// What all that is left costs, with all that rounding may add.
    rent: f64,
}

/// Ends above the lower corner, up to the upper one.
#[derive(Clone)]
struct Box {
    /// Weighted sum of the lower corner.
    value: f64,
    low: Vec<f64>,
    /// Index into `Corners::points`.
    high: Vec<usize>,
}

impl PartialEq for Box {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Box {}

impl PartialOrd for Box {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Box {
    fn cmp(&self, other: &Self) -> Ordering {
        self.value.total_cmp(&other.value)
    }
}

impl Corners {
    /// From the least end of each batch alone; `None` for one batch or many, or where a time is too large.
    pub fn new(relaxation: &Relaxation, ends: &[i128]) -> Option<Self> {
        if ends.len() > MOST_BATCHES {
            return None;
        }
        let copies = Falling::new(relaxation, ends, &GRID, |_, buyers| buyers)?;
        let mut corners = Self {
            copies,
            cuts: Vec::new(),
            points: vec![Vec::new(); ends.len()],
            known: vec![BTreeMap::new(); ends.len()],
            boxes: BinaryHeap::new(),
            bound: 0.0,
            is_final: false,
        };
        // Ends are whole, and no batch ends before its own. One that ends at `free` pays nothing, nor does it later.
        let low: Vec<f64> = ends.iter().map(|&end| end as f64 - 1.0).collect();
        let free = corners.copies.times.last().copied().unwrap_or(0.0) + corners.longest();
        let high = (0..ends.len())
            .map(|batch| corners.point(batch, free.max(low[batch] + 1.0)))
            .collect();
        corners.push(low, high);
        Some(corners)
    }

    /// No copy begins so long before its batch ends.
    fn longest(&self) -> f64 {
        let of_buyer = |buyer: &Buyer| {
            let known = &self.copies.market.buyers[buyer.index];
            let offers = self.copies.market.offers(known).iter();
            let durations = offers.map(|offer| offer.duration);
            known.head + buyer.tail + durations.fold(0.0, f64::max)
        };
        let all = self.copies.buyers.iter().flatten().map(of_buyer);
        all.fold(0.0, f64::max)
    }

    /// Looks at so many boxes, or as many as there are. Whether there are more.
    pub fn improve(&mut self, boxes: usize, stop: impl Fn() -> bool) -> bool {
        for _ in 0..boxes {
            if self.is_final || stop() {
                break;
            }
            self.step();
        }
        !self.is_final
    }

    /// Sum over batches of weight x end, at least.
    pub fn bound(&self) -> i128 {
        let magnitude = self.bound * (1.0 + self.copies.weights.len() as f64);
        let safe = (self.bound - magnitude * MARGIN).ceil();
        if safe.is_finite() { safe as i128 } else { 0 }
    }

    fn step(&mut self) {
        let Some(Reverse(next)) = self.boxes.pop() else {
            self.is_final = true;
            return;
        };
        self.bound = self.bound.max(next.value);
        if (0..self.cuts.len()).any(|cut| self.refutes(cut, &next.high)) {
            return;
        }
        let side = |batch: usize| self.points[batch][next.high[batch]].0 - next.low[batch];
        let is_small = |batch: &usize| {
            self.copies.weights[*batch] == 0.0
                || side(*batch) <= (SMALL * next.low[*batch]).max(1.0)
        };
        if (0..next.low.len()).all(|batch| is_small(&batch)) {
            // If it is not refuted, nothing better is known of it.
            let is_refuted = self.learn(&next.high);
            self.is_final = !is_refuted || self.boxes.len() > MOST_BOXES;
            return;
        }
        let longest = (0..next.low.len())
            .filter(|batch| !is_small(batch))
            .max_by(|&one, &other| {
                let length = |batch: usize| self.copies.weights[batch] * side(batch);
                length(one).total_cmp(&length(other))
            })
            .unwrap_or(0);
        let middle = (next.low[longest] + side(longest) / 2.0).floor();
        let at = self.point(longest, middle);
        let (mut below, mut above) = (next.high.clone(), next.low.clone());
        below[longest] = at;
        above[longest] = middle;
        self.push(next.low, below);
        self.push(above, next.high);
    }

    fn push(&mut self, low: Vec<f64>, high: Vec<usize>) {
        let weighted = low.iter().zip(&self.copies.weights);
        // Ends are whole numbers above the corner.
        let value = weighted.map(|(low, weight)| (low + 1.0) * weight).sum();
        self.boxes.push(Reverse(Box { value, low, high }));
    }

    /// The point of a batch at this end.
    fn point(&mut self, batch: usize, end: f64) -> usize {
        let points = &mut self.points[batch];
        *self.known[batch].entry(end as i64).or_insert_with(|| {
            points.push((end, Vec::new()));
            points.len() - 1
        })
    }

    /// Whether these ends are refuted by the prices of a cut.
    fn refutes(&mut self, cut: usize, ends: &[usize]) -> bool {
        let mut paid = 0.0;
        for (batch, &point) in ends.iter().enumerate() {
            while self.points[batch][point].1.len() <= cut {
                let (end, known) = &self.points[batch][point];
                let curves = &self.cuts[known.len()].curves;
                let price = self.paid(curves, batch, *end);
                self.points[batch][point].1.push(price);
            }
            paid += self.points[batch][point].1[cut];
        }
        paid > self.cuts[cut].rent
    }

    /// What a batch that ends then pays at least; without end where it cannot.
    fn paid(&self, curves: &Curves, batch: usize, end: f64) -> f64 {
        let of_buyer = |buyer: &Buyer| {
            let found = self.copies.cheapest(curves, buyer, end - buyer.tail);
            buyer.count * found.map_or(f64::INFINITY, |found| found.0)
        };
        self.copies.buyers[batch].iter().map(of_buyer).sum()
    }

    /// Learns prices that refute these ends. Whether it could.
    fn learn(&mut self, points: &[usize]) -> bool {
        let copies = &self.copies;
        let ends = points.iter().zip(&self.points);
        let ends: Vec<f64> = ends.map(|(&point, points)| points[point].0).collect();
        let mut ascent = Ascent::new(self.first(points, &ends));
        for _ in 0..PATIENCE {
            let curves = copies.curves(ascent.point());
            let left = copies.market.nothing_sold(&curves);
            let mut sold = left.clone();
            let mut paid = 0.0;
            for (buyers, &end) in copies.buyers.iter().zip(&ends) {
                for buyer in buyers {
                    let until = end - buyer.tail;
                    let Some((price, offer)) = copies.cheapest(&curves, buyer, until) else {
                        // It cannot end so early at any price: no cut is needed for that.
                        return true;
                    };
                    paid += buyer.count * price;
                    let start = until - offer.duration;
                    copies
                        .market
                        .sell(&curves, offer, buyer.count, start, &mut sold);
                }
            }
            let mut rent = 0.0;
            let mut magnitude = paid;
            for (index, line) in copies.market.lines.iter().enumerate() {
                rent += line.rent(&curves, index);
                magnitude += curves.total(index) * (1.0 + line.demand);
            }
            if paid > rent + magnitude * MARGIN {
                self.cuts.push(Cut {
                    drops: ascent.point().to_vec(),
                    curves,
                    rent: rent + magnitude * MARGIN,
                });
                return true;
            }
            let ratio = paid / rent.max(f64::MIN_POSITIVE);
            ascent.tell(ratio, copies.gradient(ratio, &left, &sold), REACH);
        }
        false
    }

    /// Where to begin: the prices of the cut that nearly refutes these ends, or all time until the last one.
    fn first(&self, points: &[usize], ends: &[f64]) -> Vec<f64> {
        let ratio = |cut: usize| {
            let paid = points.iter().enumerate();
            let paid: f64 = paid
                .map(|(batch, &point)| self.points[batch][point].1[cut])
                .sum();
            paid / self.cuts[cut].rent.max(f64::MIN_POSITIVE)
        };
        let rated = self.cuts.iter().enumerate();
        let rated = rated.map(|(index, cut)| (ratio(index), cut));
        let nearest = rated.max_by(|one, other| one.0.total_cmp(&other.0));
        if let Some((_, cut)) = nearest {
            return cut.drops.clone();
        }
        self.copies.flat(ends.iter().copied().fold(0.0, f64::max))
    }
}
