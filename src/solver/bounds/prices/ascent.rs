//! Maximising a concave function without derivatives: Shor's r-algorithm (Shor 1985; steps and constants after
//! Kappel and Kuntsevich 2000).
//!
//! A subgradient method that stretches space along the difference of two successive subgradients, so that the
//! ravines of piecewise linear functions open up. The caller evaluates: `point` is asked for, `tell` is told the
//! subgradient there. No coordinate ever is below 0: steps are projected, and subgradients that point outside
//! are cut. Costs a matrix of the square of the number of coordinates.

/// How much space is stretched along a difference.
const STRETCH: f64 = 2.0;
/// Growth of the length of the step from the third one in the same direction on.
const GROWTH: f64 = 1.2;
/// Change of it where the first one goes too far.
const DECAY: f64 = 0.9;
/// More steps than this in one direction tell that the function has no end there.
const MOST_STEPS: usize = 30;

/// A point under way to the maximum.
#[derive(Clone)]
pub(in crate::solver::bounds) struct Ascent {
    point: Vec<f64>,
    /// Stretched space as a matrix, row by row.
    basis: Vec<f64>,
    gradient: Vec<f64>,
    direction: Vec<f64>,
    length: f64,
    steps: usize,
}

impl Ascent {
    /// Starts at this point, with steps of this length.
    pub fn new(point: Vec<f64>) -> Self {
        let size = point.len();
        let mut basis = vec![0.0; size * size];
        basis
            .iter_mut()
            .step_by(size + 1)
            .for_each(|diagonal| *diagonal = 1.0);
        Self {
            point,
            basis,
            gradient: Vec::new(),
            direction: Vec::new(),
            length: 0.0,
            steps: 0,
        }
    }

    /// Where the function is to be evaluated.
    pub fn point(&self) -> &[f64] {
        &self.point
    }

    /// Moves the point to where the function is defined.
    pub fn move_to(&mut self, allowed: impl FnOnce(&mut [f64])) {
        allowed(&mut self.point);
    }

    /// Goes on elsewhere, or with another function, in the space as it is stretched.
    pub fn go_on_from(&mut self, point: Vec<f64>) {
        self.point = point;
        self.gradient.clear();
    }

    /// Takes the subgradient at the point and moves on. The first step moves by `reach` x value / gradient.
    pub fn tell(&mut self, value: f64, mut gradient: Vec<f64>, reach: f64) {
        for (gradient, point) in gradient.iter_mut().zip(&self.point) {
            if *point <= 0.0 {
                *gradient = gradient.max(0.0);
            }
        }
        if self.gradient.is_empty() {
            if self.length == 0.0 {
                let steepness = dot(&gradient, &gradient).sqrt();
                self.length = reach * value.abs() / steepness.max(f64::MIN_POSITIVE);
            }
            self.turn(gradient);
        } else {
            self.steps += 1;
            if dot(&gradient, &self.direction) <= 0.0 || self.steps > MOST_STEPS {
                if self.steps == 1 {
                    self.length *= DECAY;
                }
                self.stretch(&gradient);
                self.turn(gradient);
            } else if self.steps > 1 {
                self.length *= GROWTH;
            }
        }
        for (point, direction) in self.point.iter_mut().zip(&self.direction) {
            *point = (*point + self.length * direction).max(0.0);
        }
    }

    /// A new direction: the subgradient, seen from the stretched space.
    fn turn(&mut self, gradient: Vec<f64>) {
        let seen = self.stretched(&gradient);
        let length = dot(&seen, &seen).sqrt().max(f64::MIN_POSITIVE);
        let rows = self.basis.chunks_exact(gradient.len().max(1));
        self.direction = rows.map(|row| dot(row, &seen) / length).collect();
        self.gradient = gradient;
        self.steps = 0;
    }

    /// Stretches space along the difference to the last subgradient.
    fn stretch(&mut self, gradient: &[f64]) {
        let difference: Vec<f64> = gradient
            .iter()
            .zip(&self.gradient)
            .map(|(one, other)| one - other)
            .collect();
        let along = self.stretched(&difference);
        let length = dot(&along, &along);
        if length > 0.0 && length.is_finite() {
            let factor = (1.0 / STRETCH - 1.0) / length;
            for row in self.basis.chunks_exact_mut(gradient.len()) {
                let part = factor * dot(row, &along);
                row.iter_mut()
                    .zip(&along)
                    .for_each(|(entry, along)| *entry += part * along);
            }
        }
    }

    /// The transposed basis times a vector.
    fn stretched(&self, vector: &[f64]) -> Vec<f64> {
        let mut seen = vec![0.0; vector.len()];
        for (row, factor) in self.basis.chunks_exact(vector.len().max(1)).zip(vector) {
            if *factor != 0.0 {
                seen.iter_mut()
                    .zip(row)
                    .for_each(|(seen, entry)| *seen += factor * entry);
            }
        }
        seen
    }
}

fn dot(one: &[f64], other: &[f64]) -> f64 {
    one.iter().zip(other).map(|(one, other)| one * other).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_steep_ravine_is_climbed() {
        // -|x - 1| - 1000 |y - x|: the maximum is 0 at (1, 1).
        let mut ascent = Ascent::new(vec![9.0, 0.0]);
        let mut best = f64::NEG_INFINITY;
        for _ in 0..200 {
            let (x, y) = (ascent.point()[0], ascent.point()[1]);
            let value = -(x - 1.0).abs() - 1000.0 * (y - x).abs();
            best = best.max(value);
            let slope = 1000.0 * (y - x).signum();
            ascent.tell(value, vec![slope - (x - 1.0).signum(), -slope], 0.05);
        }
        assert!(best > -1e-3, "{best}");
    }
}
