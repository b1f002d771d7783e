//! Deadlines in the picture.

use std::collections::BTreeMap;

use super::{Bar, Chart, Part, Row};
use crate::cluster::duration;
use crate::model::Millis;

impl Bar {
    /// Whether it ends after its deadline.
    pub fn is_late(&self) -> bool {
        self.due.is_some_and(|due| self.end > due)
    }

    /// How it stands to its deadline, in words, where it has one.
    pub fn standing(&self) -> Option<String> {
        let due = self.due?;
        let late = duration::format(self.end.saturating_sub(due));
        let end = match self.is_late() {
            true => format!("{late} late"),
            false => "met".into(),
        };
        Some(format!("due {}, {end}", duration::format(due)))
    }
}

impl Row {
    /// The deadlines of what runs on the node, and whether something misses them.
    pub fn dues(&self) -> BTreeMap<Millis, bool> {
        let mut dues = BTreeMap::new();
        for bar in &self.bars {
            if let Some(due) = bar.due {
                *dues.entry(due).or_default() |= bar.is_late();
            }
        }
        dues
    }
}

impl Chart {
    /// How many deadlines are met, and `what` shows the others; `None` without any.
    pub fn deadlines(&self, what: &str) -> Option<String> {
        let bars = self.rows.iter().flat_map(|row| &row.bars);
        let is_copy = |bar: &&Bar| matches!(bar.part, Part::Whole | Part::First);
        let due: Vec<&Bar> = bars
            .filter(|bar| bar.due.is_some())
            .filter(is_copy)
            .collect();
        let met = due.iter().filter(|bar| !bar.is_late()).count();
        (!due.is_empty()).then(|| format!("{met} of {} deadlines met; {what}", due.len()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bar(copy: usize, part: Part, end: Millis, due: Option<Millis>) -> Bar {
        Bar {
            copy: Some(copy),
            part,
            end,
            due,
            ..Bar::default()
        }
    }

    #[test]
    fn a_gang_has_one_deadline_however_many_nodes_it_stands_on() {
        let row = |bars| Row {
            bars,
            ..Row::default()
        };
        let chart = Chart {
            rows: vec![
                row(vec![
                    bar(0, Part::First, 90_000, Some(60_000)),
                    bar(1, Part::Whole, 50_000, Some(60_000)),
                ]),
                row(vec![
                    bar(0, Part::Last, 90_000, Some(60_000)),
                    bar(2, Part::Whole, 10_000, None),
                ]),
            ],
            ..Chart::default()
        };
        let told = chart.deadlines("so and so");
        assert_eq!(told.as_deref(), Some("1 of 2 deadlines met; so and so"));
        assert_eq!(chart.rows[0].dues(), BTreeMap::from([(60_000, true)]));
        let standing = |row: usize, bar: usize| chart.rows[row].bars[bar].standing();
        assert_eq!(standing(0, 0).as_deref(), Some("due 1m, 30s late"));
        assert_eq!(standing(0, 1).as_deref(), Some("due 1m, met"));
        assert_eq!(standing(1, 1), None);
        assert_eq!(Chart::default().deadlines(""), None);
    }
}
