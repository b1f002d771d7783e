//! Prices of lines over time.

/// For each line a price that is constant in each cell, and 0 behind the last; and what waits cost.
#[derive(Clone, Debug)]
pub(in crate::solver::bounds) struct Curves {
    /// Corners of the cells, in whole ms, from 0.
    pub times: Vec<f64>,
    /// Price of all capacity of a line for a ms; one more than there are cells, the last is 0.
    pub prices: Vec<Vec<f64>>,
    /// Price of a ms for each wait; empty where waits have none.
    pub waits: Vec<f64>,
    /// Prices of lines summed from 0 to each corner.
    paid: Vec<Vec<f64>>,
}

impl Curves {
    pub fn new(times: Vec<f64>, prices: Vec<Vec<f64>>) -> Self {
        let mut curves = Self {
            times,
            waits: Vec::new(),
            paid: prices.clone(),
            prices,
        };
        curves.sum_up();
        curves
    }

    /// Number of cells.
    pub fn cells(&self) -> usize {
        self.times.len() - 1
    }

    pub fn width(&self, cell: usize) -> f64 {
        self.times[cell + 1] - self.times[cell]
    }

    /// The price of a wait times this is as long as a price of all time.
    pub fn unit_of_waits(&self) -> f64 {
        self.times[self.cells()].max(1.0).sqrt()
    }

    /// To be called after a change of prices.
    pub fn sum_up(&mut self) {
        for (paid, prices) in self.paid.iter_mut().zip(&self.prices) {
            let mut sum = 0.0;
            for (cell, paid) in paid.iter_mut().enumerate() {
                *paid = sum;
                if cell + 1 < self.times.len() {
                    sum += prices[cell] * (self.times[cell + 1] - self.times[cell]);
                }
            }
        }
    }

    /// The price of all capacity of the line until each corner.
    pub fn line(&self, line: usize) -> Polygon<'_> {
        Polygon {
            times: &self.times,
            paid: &self.paid[line],
            prices: &self.prices[line],
        }
    }

    /// What all capacity of the line costs in all cells.
    pub fn total(&self, line: usize) -> f64 {
        self.paid[line][self.cells()]
    }

    /// Amounts in each cell, over its width.
    pub fn per_width(&self, amounts: &mut [Vec<f64>]) {
        for amounts in amounts {
            for (cell, amount) in amounts.iter_mut().enumerate() {
                *amount /= self.width(cell);
            }
        }
    }
}

/// A sum of prices over time: linear between corners, constant behind the last.
#[derive(Clone, Copy)]
pub(in crate::solver::bounds) struct Polygon<'c> {
    times: &'c [f64],
    paid: &'c [f64],
    prices: &'c [f64],
}

/// Where a copy starts, and what that costs it.
#[derive(Clone, Copy, Debug)]
pub(in crate::solver::bounds) struct Start {
    pub cost: f64,
    pub start: f64,
}

impl<'c> Polygon<'c> {
    /// The last corner not behind this time.
    fn corner(&self, time: f64) -> usize {
        self.times
            .partition_point(|&corner| corner <= time)
            .saturating_sub(1)
    }

    fn until(&self, corner: usize, time: f64) -> f64 {
        self.paid[corner] + self.prices[corner] * (time - self.times[corner])
    }

    /// The price of `[0, time)`.
    pub fn at(&self, time: f64) -> f64 {
        self.until(self.corner(time), time)
    }

    /// The price of `[start, end)`.
    pub fn between(&self, start: f64, end: f64) -> f64 {
        self.until(self.corner(end), end) - self.until(self.corner(start), start)
    }

    /// The start not before `head` of least weight x end + share x price, if it is less than `limit`.
    ///
    /// That is piecewise linear in the start, and does not fall behind the last corner. So the least value is at
    /// the head or where the start or the end is at a corner.
    pub fn cheapest(
        &self,
        weight: f64,
        share: f64,
        head: f64,
        duration: f64,
        limit: f64,
    ) -> Option<Start> {
        let mut best = Start {
            cost: limit,
            start: f64::NAN,
        };
        if weight * (head + duration) >= limit {
            return None;
        }
        let mut offer = |start: f64, end: f64, price: f64| {
            let cost = weight * end + share * price;
            if cost < best.cost {
                best = Start { cost, start };
            }
            best.cost
        };
        let at_head = self.corner(head);
        let mut corner = self.corner(head + duration);
        let mut least = offer(
            head,
            head + duration,
            self.until(corner, head + duration) - self.until(at_head, head),
        );
        let first = at_head + 1;
        for from in first..self.times.len() {
            let (start, end) = (self.times[from], self.times[from] + duration);
            if weight * end >= least {
                break;
            }
            while self.times.get(corner + 1).is_some_and(|&next| next <= end) {
                corner += 1;
            }
            least = offer(start, end, self.until(corner, end) - self.paid[from]);
        }
        corner = at_head;
        for until in self.corner(head + duration) + 1..self.times.len() {
            let (start, end) = (self.times[until] - duration, self.times[until]);
            if weight * end >= least {
                break;
            }
            while self
                .times
                .get(corner + 1)
                .is_some_and(|&next| next <= start)
            {
                corner += 1;
            }
            least = offer(start, end, self.paid[until] - self.until(corner, start));
        }
        (best.cost < limit).then_some(best)
    }
}

impl Polygon<'_> {
    /// The least price of `[start, start + duration)` within `[head, until)`, and the start; `None` where that is
    /// too short.
    ///
    /// Linear in the start but where it or the end is at a corner.
    pub fn least(&self, head: f64, until: f64, duration: f64) -> Option<Start> {
        let latest = until - duration;
        if latest < head {
            return None;
        }
        let ends = |start: f64| Start {
            cost: self.between(start, start + duration),
            start,
        };
        let mut best = ends(head);
        let mut offer = |found: Start| {
            if found.cost < best.cost {
                best = found;
            }
        };
        offer(ends(latest));
        let inside = |from: f64, until: f64| {
            let first = self.times.partition_point(|&time| time <= from);
            first..self.times.partition_point(|&time| time < until).max(first)
        };
        let mut corner = self.corner(head + duration);
        for from in inside(head, latest) {
            let end = self.times[from] + duration;
            while self.times.get(corner + 1).is_some_and(|&next| next <= end) {
                corner += 1;
            }
            let cost = self.until(corner, end) - self.paid[from];
            offer(Start {
                cost,
                start: self.times[from],
            });
        }
        corner = self.corner(head);
        for to in inside(head + duration, until) {
            let start = self.times[to] - duration;
            while self
                .times
                .get(corner + 1)
                .is_some_and(|&next| next <= start)
            {
                corner += 1;
            }
            offer(Start {
                cost: self.paid[to] - self.until(corner, start),
                start,
            });
        }
        Some(best)
    }
}

/// Room for the sum of several lines.
#[derive(Default)]
pub(in crate::solver::bounds) struct Blend {
    paid: Vec<f64>,
    prices: Vec<f64>,
}

impl Blend {
    /// The sum of share x price over these lines, and the share of it that a copy pays.
    pub fn of<'c>(&'c mut self, curves: &'c Curves, uses: &[(usize, f64)]) -> (Polygon<'c>, f64) {
        if let [(line, share)] = uses {
            return (curves.line(*line), *share);
        }
        self.paid.clear();
        self.paid.resize(curves.times.len(), 0.0);
        self.prices.clear();
        self.prices.resize(curves.times.len(), 0.0);
        for &(line, share) in uses {
            for (sum, paid) in self.paid.iter_mut().zip(&curves.paid[line]) {
                *sum += share * paid;
            }
            for (sum, price) in self.prices.iter_mut().zip(&curves.prices[line]) {
                *sum += share * price;
            }
        }
        (
            Polygon {
                times: &curves.times,
                paid: &self.paid,
                prices: &self.prices,
            },
            1.0,
        )
    }
}
