//! A plan as a picture of nodes over time, before it is drawn: [`gantt`](super::gantt) draws it with
//! characters, [`svg`](super::svg) with vectors.

use std::collections::HashMap;

use super::wording::{proof, requests, size, summary};
use crate::model::{Assignment, Millis, Mode, PODS, Problem, Resources, Solution};

/// The whole of a node, in the unit of shares.
pub const WHOLE: u32 = 1000;
/// So many tasks have a letter of their own.
pub const LETTERS: usize = 62;
/// Charts of at most this many nodes show idle nodes too.
const FEW_NODES: usize = 16;

/// What is drawn.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Chart {
    /// What the picture shows, in a line.
    pub title: String,
    /// How good it is, and how it was found, in a line.
    pub proof: String,
    /// The nodes, by name, with numbers in it by value.
    pub rows: Vec<Row>,
    /// How many idle nodes are left out.
    pub idle: usize,
    /// Names of the tasks; a bar's task is an index here, and so is its colour.
    pub tasks: Vec<String>,
    /// What is not drawn because it has no place.
    pub unplaced: Vec<Note>,
    /// Where the time axis ends, in ms; at least 1.
    pub end: Millis,
}

/// A node.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Row {
    /// Name of the node.
    pub node: String,
    /// What it has for the batch, in a few words.
    pub capacity: String,
    /// What runs on it, by start.
    pub bars: Vec<Bar>,
    /// How many bars at most run side by side.
    pub lanes: usize,
    /// How much height the bars take, stacked by share: at least [`WHOLE`], and more where the shares of
    /// different resources add up to more than the node.
    pub height: u32,
}

/// One pod.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Bar {
    /// Index into `Chart::tasks`.
    pub task: usize,
    /// Task and copy.
    pub label: String,
    /// How much it gets of the resource that matters most.
    pub size: String,
    /// `namespace/name` of the batch.
    pub batch: String,
    /// All requests of its container.
    pub requests: String,
    /// When it starts, in ms.
    pub start: Millis,
    /// When it ends, in ms.
    pub end: Millis,
    /// Its largest share of the node, up to [`WHOLE`].
    pub share: u32,
    /// Which of the row's lanes it is in.
    pub lane: usize,
    /// Where it begins in the row's height.
    pub top: u32,
}

/// A task copy without a place.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Note {
    /// Task and copies.
    pub label: String,
    /// Why, in words and numbers, and what would help.
    pub text: String,
}

impl Chart {
    /// The picture of a plan.
    pub fn of_plan(problem: &Problem, solution: &Solution) -> Self {
        let mut painter = Painter::new(problem);
        for assignment in &solution.plan.assignments {
            painter.paint(assignment);
        }
        let keys: Vec<&str> = problem
            .batches
            .iter()
            .map(|batch| batch.key.as_str())
            .collect();
        let mut chart = painter.chart;
        chart.title = match keys.as_slice() {
            [one] => (*one).to_owned(),
            all => format!("{} batches", all.len()),
        };
        chart.proof = proof(problem.goal, solution);
        chart.unplaced = notes(solution);
        chart.finish();
        chart
    }

    /// Sorts the nodes, packs the bars of each, and leaves idle nodes out where there are many nodes.
    pub fn finish(&mut self) {
        let all = self.rows.len();
        if all > FEW_NODES {
            self.rows.retain(|row| !row.bars.is_empty());
        }
        self.idle = all - self.rows.len();
        self.rows
            .sort_by(|one, other| by_value(&one.node).cmp(&by_value(&other.node)));
        self.rows.iter_mut().for_each(Row::pack);
        let bars = self.rows.iter().flat_map(|row| &row.bars);
        self.end = bars.map(|bar| bar.end).max().unwrap_or(0).max(1);
    }
}

impl Chart {
    /// What the picture leaves out.
    pub fn left_out(&self) -> impl Iterator<Item = String> {
        let tasks = self.tasks.len().saturating_sub(LETTERS);
        let texts = [
            (tasks, "tasks have no letter"),
            (self.idle, "nodes are idle"),
        ];
        let some = texts.into_iter().filter(|(count, _)| *count > 0);
        some.map(|(count, text)| format!("{count} more {text}"))
    }
}

/// Draws assignments into the rows of their nodes.
struct Painter<'a> {
    problem: &'a Problem,
    classes: Vec<Option<usize>>,
    tasks: HashMap<usize, usize>,
    chart: Chart,
}

impl<'a> Painter<'a> {
    fn new(problem: &'a Problem) -> Self {
        let classes = problem.class_of();
        let mut chart = Chart::default();
        for (node, class) in problem.nodes.iter().zip(&classes) {
            let capacity = class.map_or(String::new(), |class| {
                let free = problem.resources.iter().zip(&problem.classes[class].free);
                let free: Resources = free
                    .map(|(name, amount)| (name.as_str(), *amount))
                    .collect();
                summary(&free)
            });
            chart.rows.push(Row {
                node: node.clone(),
                capacity,
                ..Row::default()
            });
        }
        Self {
            problem,
            classes,
            tasks: HashMap::new(),
            chart,
        }
    }

    fn paint(&mut self, assignment: &Assignment) {
        let task = &self.problem.tasks[assignment.task];
        let mode = &task.modes[assignment.mode];
        let next = self.chart.tasks.len();
        let colour = *self.tasks.entry(assignment.task).or_insert(next);
        if colour == next {
            self.chart.tasks.push(task.name.clone());
        }
        let single = task.copies.as_slice() == [0];
        for &node in &assignment.nodes {
            let share = self.classes[node].map_or(WHOLE, |class| self.share(mode, class));
            self.chart.rows[node].bars.push(Bar {
                task: colour,
                label: if single {
                    task.name.clone()
                } else {
                    format!("{}-{}", task.name, assignment.copy)
                },
                size: size(&mode.requests),
                batch: self.problem.batches[task.batch].key.clone(),
                requests: match &mode.flavor {
                    Some(flavor) => format!("{flavor}: {}", requests(&mode.requests)),
                    None => requests(&mode.requests),
                },
                start: assignment.start,
                end: assignment.end,
                share,
                ..Bar::default()
            });
        }
    }

    fn share(&self, mode: &Mode, class: usize) -> u32 {
        let free = &self.problem.classes[class].free;
        let of_each = self.problem.resources.iter().zip(&mode.demand).zip(free);
        let used =
            of_each.filter(|((name, demand), free)| *name != PODS && **demand > 0 && **free > 0);
        let shares = used.map(|((_, demand), free)| share(*demand, *free));
        shares.max().unwrap_or(1)
    }
}

/// A part of a whole, from 1 to [`WHOLE`].
pub fn share(part: i64, whole: i64) -> u32 {
    let share = i128::from(part) * i128::from(WHOLE) / i128::from(whole.max(1));
    u32::try_from(share.clamp(1, i128::from(WHOLE))).unwrap_or(WHOLE)
}

impl Row {
    /// Gives each bar a lane and a place in the height, so that no two overlap.
    fn pack(&mut self) {
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

/// A key that sorts `gpu-2` before `gpu-10`: a number is as long as it has digits.
fn by_value(name: &str) -> Vec<(usize, &str)> {
    let digits = |letter: char| letter.is_ascii_digit();
    let mut parts = Vec::new();
    let mut rest = name;
    while let Some(first) = rest.chars().next() {
        let is_number = digits(first);
        let end = rest.find(|letter| digits(letter) != is_number);
        let (part, after) = rest.split_at(end.unwrap_or(rest.len()));
        let number = part.trim_start_matches('0');
        parts.push(if is_number {
            (1 + number.len(), number)
        } else {
            (0, part)
        });
        rest = after;
    }
    parts
}

/// What has no place, copies of one task with one reason together.
fn notes(solution: &Solution) -> Vec<Note> {
    let mut notes: Vec<(Note, u32)> = Vec::new();
    for unplaced in &solution.plan.unplaced {
        let fix = unplaced
            .fix
            .as_ref()
            .map_or(String::new(), |fix| format!("; {fix}"));
        let text = format!("{}: {}{fix}", unplaced.reason, unplaced.message);
        match notes
            .last_mut()
            .filter(|(last, _)| last.label == unplaced.task && last.text == text)
        {
            Some((_, copies)) => *copies += 1,
            None => notes.push((
                Note {
                    label: unplaced.task.clone(),
                    text,
                },
                1,
            )),
        }
    }
    let counted = notes.into_iter().map(|(note, copies)| match copies {
        1 => note,
        _ => Note {
            label: format!("{} (x{copies})", note.label),
            ..note
        },
    });
    counted.collect()
}

/// The letter of a task where its name has no room.
pub fn letter(task: usize) -> char {
    let letters = ('A'..='Z').chain('a'..='z');
    letters.chain('0'..='9').nth(task).unwrap_or('*')
}

/// Times to mark on an axis of this length: at most `most` of them, at round distances, from 0.
pub fn ticks(end: Millis, most: usize) -> impl Iterator<Item = Millis> {
    const SECOND: Millis = 1000;
    const MINUTE: Millis = 60 * SECOND;
    const HOUR: Millis = 60 * MINUTE;
    const ROUND: [Millis; 25] = [
        1,
        2,
        5,
        10,
        20,
        50,
        100,
        200,
        500,
        SECOND,
        2 * SECOND,
        5 * SECOND,
        10 * SECOND,
        30 * SECOND,
        MINUTE,
        2 * MINUTE,
        5 * MINUTE,
        10 * MINUTE,
        30 * MINUTE,
        HOUR,
        2 * HOUR,
        6 * HOUR,
        12 * HOUR,
        24 * HOUR,
        168 * HOUR,
    ];
    let most = Millis::try_from(most.max(2)).unwrap_or(Millis::MAX) - 1;
    let fits = |step: &Millis| end / step <= most;
    let step = ROUND
        .into_iter()
        .find(fits)
        .unwrap_or_else(|| end / most + 1);
    (0..=most)
        .map(move |index| index.saturating_mul(step))
        .take_while(move |at| *at <= end)
}
