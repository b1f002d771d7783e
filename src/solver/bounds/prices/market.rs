//! The market of the price bounds: which capacities are scarce, and what each copy would use of them.
//!
//! Nodes that no task tells apart form a *group*; of a group, each resource that can run out is a *line* whose
//! capacity is 1 at every time, less what running pods hold. A resource may have more lines, on which amounts count
//! otherwise (`gauge.rs`). Copies of a task are one *buyer* with a number, which may wait for another one
//! (`waits.rs`); an *offer* is a mode on a group, its duration there, and its share of each line.
//!
//! All of it is a relaxation. A group lumps its nodes together and takes the least duration of the mode on any of
//! its classes. The pods of a gang may stand in several groups, but then one of them, g, is cheapest for a pod
//! while the gang runs; as it lasts no shorter than the shortest spread with a pod on g, all its pods on g for that
//! long pay no more and end no later. A
//! line that is left out, because it can never run out or another one always runs out sooner, only weakens.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use crate::model::Millis;
use crate::solver::bounds::Job;
use crate::solver::bounds::held::Held;
use crate::solver::bounds::{longest, mean_busy};
use crate::solver::instance::gauge::Gauge;
use crate::solver::instance::{ClassView, Instance, ModeView};

use super::curves::Curves;
use super::waits::{self, Wait};

/// With more groups than this, classes that the same tasks can use are one group; then all classes.
const MOST_GROUPS: usize = 24;

/// Times are at most this, so that sums of two are exact in floats: 17,000 years.
pub(in crate::solver::bounds) const LAST: Millis = 1 << 49;

/// Buyers, and the lines that they share.
pub(in crate::solver::bounds) struct Market {
    pub lines: Vec<Line>,
    pub buyers: Vec<Buyer>,
    pub waits: Vec<Wait>,
    offers: Vec<Offer>,
    uses: Vec<(usize, f64)>,
    /// The group of each class.
    pub group_of: Vec<usize>,
    /// Weight x least end of the copies that need none of the lines, or about whom nothing is known but that.
    pub apart: i128,
}

/// The capacity of one resource of a group, counted as 1.
pub(in crate::solver::bounds) struct Line {
    pub group: usize,
    pub resource: usize,
    /// How amounts of the resource count.
    pub gauge: Gauge,
    /// What all nodes count; above 0.
    pub capacity: f64,
    /// Sum over copies of the largest share that they could use.
    pub demand: f64,
    held: Held,
}

/// The copies of a task.
pub(in crate::solver::bounds) struct Buyer {
    pub task: usize,
    pub count: f64,
    pub weight: f64,
    /// No copy starts before.
    pub head: f64,
    offers: Range<usize>,
}

/// One way to run a copy.
pub(in crate::solver::bounds) struct Offer {
    /// Index into `TaskView::modes`.
    pub mode: usize,
    pub duration: f64,
    uses: Range<usize>,
}

impl Line {
    /// What all pods of a mode count.
    fn usage(&self, mode: &ModeView) -> f64 {
        f64::from(mode.pods) * self.gauge.of(mode.request.usage[self.resource]) as f64
    }

    /// The least that is left at any time.
    fn least(&self) -> f64 {
        (self.capacity - self.held.most() as f64).max(0.0)
    }

    /// What all that is left costs at these prices, which are those of the line of this index.
    pub fn rent(&self, curves: &Curves, index: usize) -> f64 {
        let cells = curves.times.windows(2).zip(&curves.prices[index]);
        cells
            .map(|(cell, price)| price * self.left(cell[0], cell[1]))
            .sum()
    }

    /// What is left for buyers in `[from, until)`: capacity times ms.
    pub fn left(&self, from: f64, until: f64) -> f64 {
        let held = self.held.until(until as i128) - self.held.until(from as i128);
        ((until - from) - held as f64 / self.capacity).max(0.0)
    }
}

impl Market {
    /// The market of these jobs on these classes. Jobs with times that are too large stand apart.
    pub fn new(instance: &Instance, jobs: &[&Job], classes: &[usize]) -> Self {
        Self::read(instance, jobs, classes, false)
    }

    /// The same with lines for how pods fill nodes; `None` where they fill them without gaps.
    pub fn gauged(instance: &Instance, jobs: &[&Job], classes: &[usize]) -> Option<Self> {
        let market = Self::read(instance, jobs, classes, true);
        let mut lines = market.lines.iter();
        lines.any(|line| !line.gauge.is_plain()).then_some(market)
    }

    fn read(instance: &Instance, jobs: &[&Job], classes: &[usize], is_gauged: bool) -> Self {
        let is_small = |job: &&Job| {
            let durations = job.view.modes.iter().flat_map(|mode| &mode.runs);
            let longest = durations.map(|run| run.least.unwrap_or(0).max(run.duration));
            job.head <= LAST && longest.max().is_none_or(|time| time <= LAST)
        };
        let (jobs, large): (Vec<&Job>, Vec<&Job>) = jobs.iter().partition(|job| is_small(job));
        let jobs = jobs.as_slice();
        let group_of = groups(instance, jobs, classes);
        let mut market = Self {
            lines: Vec::new(),
            buyers: Vec::new(),
            waits: Vec::new(),
            offers: Vec::new(),
            uses: Vec::new(),
            group_of,
            apart: mean_busy::paths(&large),
        };
        let all: Vec<Vec<Way>> = jobs.iter().map(|job| market.ways(job)).collect();
        let raw = lines(
            &instance.classes,
            &market.group_of,
            classes,
            &all,
            is_gauged,
        );
        let groups = raw.last().map_or(0, |line| line.group + 1);
        let of_group = |group: usize| {
            let first = raw.partition_point(|line| line.group < group);
            first..raw.partition_point(|line| line.group <= group)
        };
        let of_group: Vec<Range<usize>> = (0..groups).map(of_group).collect();
        let (scarce, demand) = scarce(&raw, &of_group, jobs, &all);
        let mut line_of = vec![None; raw.len()];
        for (index, mut line) in raw.into_iter().enumerate() {
            if scarce[index] {
                line.demand = demand[index] / line.capacity;
                line_of[index] = Some(market.lines.len());
                market.lines.push(line);
            }
        }
        for (job, ways) in jobs.iter().zip(&all) {
            market.add(job, ways, &line_of, &of_group);
        }
        market.waits = waits::of(instance, &market.buyers, jobs);
        market
    }

    pub fn offers(&self, buyer: &Buyer) -> &[Offer] {
        &self.offers[buyer.offers.clone()]
    }

    /// (line, share of it while the copy runs).
    pub fn uses(&self, offer: &Offer) -> &[(usize, f64)] {
        &self.uses[offer.uses.clone()]
    }

    /// What there is of each line in each cell, below 0: capacity times ms.
    pub fn nothing_sold(&self, curves: &Curves) -> Vec<Vec<f64>> {
        let of_line = |line: &Line| {
            curves
                .times
                .windows(2)
                .map(|cell| -line.left(cell[0], cell[1]))
                .collect()
        };
        self.lines.iter().map(of_line).collect()
    }

    /// Adds what so many copies use that take this offer.
    pub fn sell(
        &self,
        curves: &Curves,
        offer: &Offer,
        count: f64,
        start: f64,
        sold: &mut [Vec<f64>],
    ) {
        let end = start + offer.duration;
        let first = curves
            .times
            .partition_point(|&time| time <= start)
            .saturating_sub(1);
        for &(line, share) in self.uses(offer) {
            let cells = curves.times[first..]
                .windows(2)
                .take_while(|cell| cell[0] < end);
            for (cell, sold) in cells.zip(&mut sold[line][first..]) {
                *sold += count * share * (cell[1].min(end) - cell[0].max(start));
            }
        }
    }

    fn ways<'j>(&self, job: &Job<'j>) -> Vec<Way<'j>> {
        let mut ways: Vec<Way> = Vec::new();
        for (index, mode) in job.view.modes.iter().enumerate() {
            let known = ways.len();
            for run in &mode.runs {
                let group = self.group_of[run.class];
                let Some(duration) = run.least else {
                    continue;
                };
                if let Some(way) = ways[known..].iter_mut().find(|way| way.group == group) {
                    way.duration = way.duration.min(duration);
                    continue;
                }
                ways.push(Way {
                    index,
                    mode,
                    group,
                    duration,
                });
            }
        }
        ways
    }

    /// Adds a buyer. Lines that are no longer there are not used.
    fn add(
        &mut self,
        job: &Job,
        ways: &[Way],
        line_of: &[Option<usize>],
        of_group: &[Range<usize>],
    ) {
        let first = self.offers.len();
        for way in ways {
            let begin = self.uses.len();
            for line in of_group[way.group].clone().filter_map(|raw| line_of[raw]) {
                let usage = self.lines[line].usage(way.mode);
                if usage > 0.0 {
                    self.uses.push((line, usage / self.lines[line].capacity));
                }
            }
            self.offers.push(Offer {
                mode: way.index,
                duration: way.duration as f64,
                uses: begin..self.uses.len(),
            });
        }
        if self.offers[first..]
            .iter()
            .all(|offer| offer.uses.is_empty())
        {
            self.offers.truncate(first);
            self.apart = self.apart.saturating_add(longest::weighted_ends(job));
            return;
        }
        self.buyers.push(Buyer {
            task: job.view.index,
            count: job.count as f64,
            weight: job.weight as f64,
            head: job.head as f64,
            offers: first..self.offers.len(),
        });
    }
}

/// A mode on a group.
struct Way<'a> {
    index: usize,
    mode: &'a ModeView,
    group: usize,
    duration: Millis,
}

/// The group of each class. Equal signatures of classes that differ would only lump them together.
fn groups(instance: &Instance, jobs: &[&Job], classes: &[usize]) -> Vec<usize> {
    let mut exact = vec![0u64; instance.classes.len()];
    let mut coarse = exact.clone();
    let mut last = vec![usize::MAX; instance.classes.len()];
    for (index, job) in jobs.iter().enumerate() {
        for mode in &job.view.modes {
            for run in &mode.runs {
                let known = exact[run.class];
                exact[run.class] = mix(
                    mix(mix(known, index as u64), mode.index as u64),
                    run.duration as u64,
                );
                if !run.across.is_empty() {
                    exact[run.class] =
                        mix(exact[run.class], run.least.unwrap_or(Millis::MAX) as u64);
                }
                if last[run.class] != index {
                    last[run.class] = index;
                    coarse[run.class] = mix(coarse[run.class], index as u64);
                }
            }
        }
    }
    for signatures in [exact, coarse] {
        let mut known = BTreeMap::new();
        for &class in classes {
            let next = known.len();
            known.entry(signatures[class]).or_insert(next);
        }
        if known.len() <= MOST_GROUPS {
            let group = |signature| known.get(signature).copied().unwrap_or(0);
            return signatures.iter().map(group).collect();
        }
    }
    vec![0; instance.classes.len()]
}

/// A step of a multiplicative hash (Steele, Lea and Flood 2014).
fn mix(hash: u64, value: u64) -> u64 {
    let mixed =
        (hash ^ value.wrapping_add(0x9e37_79b9_7f4a_7c15)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed ^ (mixed >> 29)
}

/// The lines of all groups, group by group.
fn lines(
    views: &[ClassView],
    group_of: &[usize],
    classes: &[usize],
    ways: &[Vec<Way>],
    is_gauged: bool,
) -> Vec<Line> {
    let groups = classes.iter().map(|&class| group_of[class] + 1);
    let resources = ClassView::resources(views);
    let mut amounts = vec![BTreeSet::new(); groups.max().unwrap_or(0) * resources];
    let ways = ways.iter().flatten();
    let usages = ways.flat_map(|way| {
        let usage = way.mode.request.usage.iter().enumerate();
        usage.map(|(resource, usage)| (way.group * resources + resource, *usage))
    });
    usages.for_each(|(at, usage)| {
        amounts[at].insert(usage);
    });
    let of_amounts = |(at, amounts): (usize, BTreeSet<i64>)| {
        let (group, resource) = (at / resources, at % resources);
        let members = classes.iter().filter(|&&class| group_of[class] == group);
        let members: Vec<&ClassView> = members.map(|&class| &views[class]).collect();
        let most = members.iter().map(|view| view.base.most_free()[resource]);
        let amounts: Vec<i64> = amounts.into_iter().collect();
        let gauges = Gauge::all(most.max().unwrap_or(0), &amounts).into_iter();
        let gauges = gauges.take(if is_gauged { usize::MAX } else { 1 });
        let line = move |gauge: Gauge| {
            let whole = |view: &&ClassView| {
                let most = gauge.of(view.base.most_free()[resource]);
                most as f64 * view.size as f64
            };
            Line {
                group,
                resource,
                gauge,
                capacity: members.iter().map(whole).sum(),
                demand: 0.0,
                held: Held::gauged(&members, resource, &gauge),
            }
        };
        gauges.map(line)
    };
    amounts
        .into_iter()
        .enumerate()
        .flat_map(of_amounts)
        .collect()
}

/// Which lines can run out, and not always later than another one of their group.
fn scarce(
    lines: &[Line],
    of_group: &[Range<usize>],
    jobs: &[&Job],
    ways: &[Vec<Way>],
) -> (Vec<bool>, Vec<f64>) {
    let mut most = vec![0.0; lines.len()];
    // Whether a line always has at least as much room as each of its group.
    let of_line = |line: &Line| vec![true; of_group[line.group].len()];
    let mut is_ample: Vec<Vec<bool>> = lines.iter().map(of_line).collect();
    for (job, ways) in jobs.iter().zip(ways) {
        let mut largest: BTreeMap<usize, f64> = BTreeMap::new();
        for way in ways {
            for at in of_group[way.group].clone() {
                let line = &lines[at];
                let own = line.usage(way.mode);
                let largest = largest.entry(at).or_insert(0.0);
                *largest = largest.max(own);
                for (other, is_ample) in lines[of_group[way.group].clone()]
                    .iter()
                    .zip(&mut is_ample[at])
                {
                    *is_ample &= own * other.capacity <= other.usage(way.mode) * line.least();
                }
            }
        }
        for (line, usage) in largest {
            most[line] += job.count as f64 * usage;
        }
    }
    let mut scarce: Vec<bool> = lines
        .iter()
        .zip(&most)
        .map(|(line, most)| line.capacity > 0.0 && *most > line.least())
        .collect();
    for line in 0..lines.len() {
        let others = of_group[lines[line].group].clone();
        let is_behind =
            |(other, is_ample): (usize, &bool)| other != line && scarce[other] && *is_ample;
        if others.zip(&is_ample[line]).any(is_behind) {
            scarce[line] = false;
        }
    }
    (scarce, most)
}
