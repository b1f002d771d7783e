//! What ties bars together: a gang is one bar over its nodes, and an arrow leads from a task to those that wait for it.

use std::collections::BTreeMap;

use super::style::COLOURS;
use super::text::Escaped;
use super::{LEFT, Picture, RIGHT};
use crate::cli::chart::{Chart, Link};

/// So many arrows can be told apart; the chart says how many are left out.
pub(super) const MOST_ARROWS: usize = 200;
/// How far an arrow goes straight on before it bends.
const BEND: (f64, f64) = (12.0, 60.0);
/// Width of the rails between parts of a gang with other nodes in between.
const RAIL: f64 = 2.0;

/// Where a bar is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) width: f64,
    pub(super) height: f64,
}

impl Place {
    fn bottom(self) -> f64 {
        self.y + self.height
    }

    fn end(self) -> f64 {
        self.x + self.width
    }

    fn middle(self) -> f64 {
        self.y + self.height / 2.0
    }
}

/// The head of the arrows, where there are any.
pub(super) fn tip(chart: &Chart) -> &'static str {
    if chart.links.is_empty() {
        return "";
    }
    "<defs><marker id=\"tip\" viewBox=\"0 0 8 8\" refX=\"8\" refY=\"4\" markerWidth=\"7\" markerHeight=\"7\" \
     markerUnits=\"userSpaceOnUse\" orient=\"auto\"><path class=\"tip\" d=\"M0 0L8 4L0 8z\"/></marker></defs>\n"
}

/// The bars of each copy: index of the row, index in the row, and where it is.
type Places = BTreeMap<usize, Vec<(usize, usize, Place)>>;

/// What the arrows mean, and how many are left out.
pub(super) fn legend(chart: &Chart) -> impl Iterator<Item = String> {
    let (all, slack) = (
        chart.links.len(),
        chart.links.iter().any(|link| !link.is_tight),
    );
    let dashed = if slack {
        "; dashed: it starts later than it might"
    } else {
        ""
    };
    let meaning =
        (all > 0).then(|| format!("An arrow leads to a task from one that it waits for{dashed}"));
    let more = all.saturating_sub(MOST_ARROWS);
    let more = (more > 0).then(|| format!("{more} more arrows are not drawn"));
    meaning.into_iter().chain(more)
}

impl Picture {
    fn places_by_copy(&self, chart: &Chart) -> Places {
        let mut found = Places::new();
        for (row, (drawn, places)) in chart.rows.iter().zip(&self.places).enumerate() {
            for (at, (bar, place)) in drawn.bars.iter().zip(places).enumerate() {
                if let Some(copy) = bar.copy {
                    found.entry(copy).or_default().push((row, at, *place));
                }
            }
        }
        found
    }

    /// Joins the parts of each gang: all over where its next part is on the next node, by rails at both ends where
    /// other nodes lie in between.
    pub(super) fn ties(&mut self, chart: &Chart) {
        for places in self.places_by_copy(chart).values() {
            let Some(bar) = places
                .first()
                .and_then(|(row, at, _)| chart.rows[*row].bars.get(*at))
            else {
                continue;
            };
            let colour = bar.task % COLOURS.len();
            for pair in places.windows(2) {
                let [(row, _, upper), (next, _, lower)] = pair else {
                    continue;
                };
                let (top, height) = (upper.bottom(), lower.y - upper.bottom());
                let stretches = if *next == row + 1 {
                    vec![(upper.x, upper.width)]
                } else {
                    let rail = RAIL.min(upper.width);
                    vec![(upper.x, rail), (upper.end() - rail, rail)]
                };
                for (x, width) in stretches {
                    self.add_tie(format_args!(
                        "<rect class=\"tie c{colour}\" x=\"{x:.1}\" y=\"{top:.1}\" width=\"{width:.1}\" height=\"{height:.1}\"><title>{}</title></rect>",
                        Escaped(&bar.label),
                    ));
                }
            }
        }
    }

    /// An arrow for each task and each one that it waits for: solid where it starts in the moment in which that ends.
    pub(super) fn arrows(&mut self, chart: &Chart) {
        let places = self.places_by_copy(chart);
        for Link { from, to, is_tight } in chart.links.iter().take(MOST_ARROWS) {
            let (Some(from), Some(to)) = (places.get(from), places.get(to)) else {
                continue;
            };
            let pairs = from
                .iter()
                .flat_map(|from| to.iter().map(move |to| (from, to)));
            let Some((one, other)) = pairs.min_by_key(|(from, to)| from.0.abs_diff(to.0)) else {
                continue;
            };
            let class = if *is_tight { "arrow" } else { "arrow slack" };
            let name = |place: &(usize, usize, Place)| {
                let bar = &chart.rows[place.0].bars[place.1];
                bar.label.clone()
            };
            let title = format!("{} waits for {}", name(other), name(one));
            let path = path(one.2, other.2);
            self.add(format_args!(
                "<path class=\"{class}\" d=\"{path}\" marker-end=\"url(#tip)\"><title>{}</title></path>",
                Escaped(&title)
            ));
        }
    }
}

/// From the end of a bar to the start of another one.
fn path(from: Place, to: Place) -> String {
    let (x, y, to_x, to_y) = (from.end(), from.middle(), to.x, to.middle());
    let bend = ((to_x - x) / 2.0).clamp(BEND.0, BEND.1);
    let (out, back) = ((x + bend).min(RIGHT + 8.0), (to_x - bend).max(LEFT - 8.0));
    // Side by side on one node, an arrow of this length is still seen.
    let x = if (to_y - y).abs() < 1.0 {
        x.min(to_x - BEND.0)
    } else {
        x
    };
    format!("M{x:.1} {y:.1}C{out:.1} {y:.1} {back:.1} {to_y:.1} {to_x:.1} {to_y:.1}")
}
