//! How much of a node an amount takes, seen so that what cannot stand side by side takes more.
//!
//! A node of 4 GPUs holds one pod of 3 and no second one, though a quarter of it is free. A *gauge* is a function f of
//! amounts in `[0, C]`, C the most that a node has, with f(v + w) >= f(v) + f(w) (a dual feasible function: Lueker
//! 1983; Clautiaux, Alves and Valério de Carvalho 2010). Amounts that stand together in room for c then measure at most
//! f(c), whatever they are, so that every bound on areas holds for what f makes of them too. Which one is tight depends
//! on the amounts: prices decide.

/// Peaks above this have no gauge but the amounts themselves, so that all values fit.
const LARGEST: i64 = 1 << 50;
/// Gauges of one resource, the amounts themselves included.
const MOST: usize = 4;

/// One such function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::solver) struct Gauge {
    peak: i64,
    law: Law,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Law {
    /// Amounts as they are.
    Plain,
    /// Multiples of 1 / (k + 1) of the peak as they are, all others rounded down to multiples of 1 / k of what is
    /// above as many of those (Fekete and Schepers 2001): where k = 1, more than a half is all, and less is nothing.
    Rounded(i64),
    /// Less than this is nothing, and so what leaves less is all (Martello and Toth 1990).
    Clipped(i64),
}

impl Gauge {
    /// Amounts as they are.
    pub fn plain(peak: i64) -> Self {
        Self {
            peak: peak.max(0),
            law: Law::Plain,
        }
    }

    /// The amounts themselves, and the gauges by which one of these takes more of a node than that.
    pub fn all(peak: i64, amounts: &[i64]) -> Vec<Self> {
        let plain = Self::plain(peak);
        let mut gauges = vec![plain];
        if !(2..=LARGEST).contains(&peak) {
            return gauges;
        }
        let mut amounts: Vec<i64> = amounts.to_vec();
        amounts.retain(|amount| (1..=peak).contains(amount));
        amounts.sort_unstable();
        amounts.dedup();
        let clips = amounts.iter().filter(|&&amount| amount <= peak / 2);
        let laws = [1, 2, 3].map(Law::Rounded).into_iter();
        let laws = laws.chain(clips.map(|&amount| Law::Clipped(amount)));
        let shares = |gauge: &Self| -> Vec<i128> {
            let own = amounts.iter().map(|&amount| gauge.of(amount).into());
            own.collect()
        };
        for gauge in laws.map(|law| Self { peak, law }) {
            let scale = |gauge: &Self| i128::from(gauge.whole());
            let own = shares(&gauge);
            // Where another one is nowhere less, this one proves nothing more.
            let is_behind = |other: &Self| {
                let pairs = own.iter().zip(shares(other));
                pairs
                    .into_iter()
                    .all(|(own, others)| own * scale(other) <= others * scale(&gauge))
            };
            if gauges.len() < MOST && !gauges.iter().any(is_behind) {
                gauges.push(gauge);
            }
        }
        gauges
    }

    /// What an amount counts; what is beyond 0 and the peak counts as these.
    pub fn of(&self, amount: i64) -> i64 {
        let amount = amount.clamp(0, self.peak);
        match self.law {
            Law::Plain => amount,
            Law::Rounded(k) => match (k + 1) * amount {
                multiple if multiple % self.peak == 0 => k * amount,
                multiple => multiple / self.peak * self.peak,
            },
            Law::Clipped(least) if amount > self.peak - least => self.peak,
            Law::Clipped(least) if amount < least => 0,
            Law::Clipped(_) => amount,
        }
    }

    /// Whether amounts count as they are.
    pub fn is_plain(&self) -> bool {
        self.law == Law::Plain
    }

    /// Whether what the two make of an amount may be added up.
    pub fn is_like(&self, other: &Self) -> bool {
        self == other || (self.is_plain() && other.is_plain())
    }

    /// What a whole node counts.
    pub fn whole(&self) -> i64 {
        self.of(self.peak)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_never_count_more_than_the_whole() {
        for peak in 0..=30 {
            let amounts: Vec<i64> = (1..=peak).collect();
            for gauge in Gauge::all(peak, &amounts) {
                for one in 0..=peak {
                    for other in 0..=peak - one {
                        let sum = gauge.of(one) + gauge.of(other);
                        assert!(gauge.of(one + other) >= sum, "{gauge:?} {one} {other}");
                    }
                }
            }
        }
    }

    #[test]
    fn what_cannot_stand_side_by_side_counts_as_a_whole_node() {
        let gauges = Gauge::all(4, &[1, 2, 3, 4]);
        let counts = |gauge: &Gauge| [1, 2, 3, 4].map(|amount| gauge.of(amount));
        assert_eq!(
            gauges.iter().map(counts).collect::<Vec<_>>(),
            [[1, 2, 3, 4], [0, 2, 4, 4]]
        );
    }

    #[test]
    fn amounts_that_fill_nodes_have_one_gauge() {
        assert_eq!(Gauge::all(8, &[1, 2, 4, 8]), [Gauge::plain(8)]);
        assert_eq!(Gauge::all(1, &[1]).len(), 1);
        assert_eq!(Gauge::all(i64::MAX, &[i64::MAX / 3 * 2]).len(), 1);
    }
}
