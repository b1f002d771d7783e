//! Gives the bars of a node lanes and places in its height.

use super::{Bar, Row, WHOLE};

impl Row {
    /// Gives each bar a lane and a place in the height, so that no two overlap.
    pub(super) fn pack(&mut self) {
        self.bars
            .sort_by(|a, b| (a.start, b.share, &a.label).cmp(&(b.start, a.share, &b.label)));
        let mut running: Vec<Bar> = Vec::new();
        (self.lanes, self.height) = (0, WHOLE);
        for bar in &mut self.bars {
            running.retain(|other| other.end.max(other.start + 1) > bar.start);
            let taken = |lane: usize| running.iter().any(|other| other.lane == lane);
            bar.lane = (0..).find(|lane| !taken(*lane)).unwrap_or_default();
            bar.top = lowest_gap(&running, bar.share);
            running.push(bar.clone());
            self.lanes = self.lanes.max(bar.lane + 1);
            self.height = self.height.max(bar.top + bar.share);
        }
    }
}

/// The lowest place where a bar of this share fits between those that run.
fn lowest_gap(running: &[Bar], share: u32) -> u32 {
    let fits = |top: u32| {
        running
            .iter()
            .all(|other| top + share <= other.top || other.top + other.share <= top)
    };
    let ends = running.iter().map(|other| other.top + other.share);
    ends.chain([0]).filter(|top| fits(*top)).min().unwrap_or(0)
}
