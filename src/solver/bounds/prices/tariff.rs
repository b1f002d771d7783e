//! Learnt prices as the searches use them: by class and resource.

use crate::model::Millis;
use crate::solver::instance::gauge::Gauge;

use super::curves::Curves;
use super::market::Market;
use super::price::Place;
use super::waits::Pace;

/// The prices that prove a bound.
#[derive(Clone, Debug)]
pub(in crate::solver) struct Prices {
    /// For each task the mode and start that a copy can best afford; `None` where it pays nothing.
    pub places: Vec<Option<Place>>,
    /// For each task what time costs a copy; `None` where nothing but its end does, by its weight.
    pub(in crate::solver::bounds) paces: Vec<Option<Pace>>,
    curves: Vec<Curves>,
    /// For each class the resources that have a price.
    classes: Vec<Vec<Priced>>,
}

/// A resource with a price.
#[derive(Clone, Copy, Debug)]
struct Priced {
    resource: usize,
    gauge: Gauge,
    /// Index into `Prices::curves`, and the line in it.
    curves: usize,
    line: usize,
    /// One over the capacity, so that what amounts count becomes shares.
    per_unit: f64,
}

impl Prices {
    pub(in crate::solver::bounds) fn new(tasks: usize, classes: usize) -> Self {
        Self {
            places: vec![None; tasks],
            paces: vec![None; tasks],
            curves: Vec::new(),
            classes: vec![Vec::new(); classes],
        }
    }

    /// Adds the prices on some classes.
    pub(in crate::solver::bounds) fn add(
        &mut self,
        market: &Market,
        curves: &Curves,
        classes: &[usize],
    ) {
        for (line, shared) in market.lines.iter().enumerate() {
            let members = classes
                .iter()
                .filter(|&&class| market.group_of[class] == shared.group);
            for &class in members {
                self.classes[class].push(Priced {
                    resource: shared.resource,
                    gauge: shared.gauge,
                    curves: self.curves.len(),
                    line,
                    per_unit: 1.0 / shared.capacity,
                });
            }
        }
        self.curves.push(curves.clone());
    }

    /// What it costs a copy of this task and weight to run in `[start, end)`, beside the room.
    pub fn waited(&self, task: usize, weight: i64, start: Millis, end: Millis) -> f64 {
        match self.paces[task] {
            Some(pace) => pace.end * end as f64 - pace.start * start as f64,
            None => weight as f64 * end as f64,
        }
    }

    /// Whether nothing has a price.
    pub fn are_none(&self) -> bool {
        self.classes.iter().all(Vec::is_empty)
    }

    /// What a pod with this usage pays on a node of the class in `[start, end)`, in the unit of the goal.
    pub fn paid(&self, class: usize, usage: &[i64], start: Millis, end: Millis) -> f64 {
        let of_line = |priced: &Priced| {
            let usage = priced.gauge.of(usage[priced.resource]);
            if usage == 0 {
                return 0.0;
            }
            let polygon = self.curves[priced.curves].line(priced.line);
            usage as f64 * priced.per_unit * polygon.between(start as f64, end as f64)
        };
        self.classes[class].iter().map(of_line).sum()
    }
}
