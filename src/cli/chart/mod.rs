//! A plan as a picture of nodes over time, before it is drawn: [`gantt`](super::gantt) draws it with
//! characters, [`svg`](super::svg) with vectors.

mod dues;
mod links;
mod pack;

use std::collections::{BTreeMap, HashMap};

use super::wording::{proof, requests, size, summary};
use crate::model::{Assignment, Millis, Mode, PODS, PlannedTask, Problem, Resources, Solution};
use links::links;
pub use links::{Link, Part};

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
    /// For each of the tasks the ones that it waits for.
    pub after: Vec<Vec<usize>>,
    /// Which bars wait for which.
    pub links: Vec<Link>,
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

/// A copy of a task on a node: a pod, or those pods of a gang that run there.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Bar {
    /// Index into `Chart::tasks`.
    pub task: usize,
    /// Which copy it is, by its place in the plan; a gang has a bar of one copy on each of its nodes.
    pub copy: Option<usize>,
    /// Which part of the copy it is.
    pub part: Part,
    /// Task and copy, for gangs with the number of workers.
    pub label: String,
    /// The flavor that the plan chose, where the task has some.
    pub flavor: Option<String>,
    /// How much it gets of the resource that matters most.
    pub size: String,
    /// `namespace/name` of the batch.
    pub batch: String,
    /// All requests of its container; of a gang's, those of each worker, and how many run here.
    pub requests: String,
    /// When it starts, in ms.
    pub start: Millis,
    /// When it ends, in ms.
    pub end: Millis,
    /// By when it is to have ended, in ms, where somebody says so.
    pub due: Option<Millis>,
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
        for (copy, assignment) in solution.plan.assignments.iter().enumerate() {
            painter.paint(copy, assignment);
        }
        painter.tell_order();
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
        chart.links = links(problem, solution);
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
        self.tell_parts();
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

    fn paint(&mut self, copy: usize, assignment: &Assignment) {
        let task = &self.problem.tasks[assignment.task];
        let mode = &task.modes[assignment.mode];
        let next = self.chart.tasks.len();
        let colour = *self.tasks.entry(assignment.task).or_insert(next);
        if colour == next {
            self.chart.tasks.push(task.name.clone());
        }
        let mut pods: BTreeMap<usize, u32> = BTreeMap::new();
        for &node in &assignment.nodes {
            *pods.entry(node).or_default() += 1;
        }
        for (&node, &here) in &pods {
            let share = self.classes[node].map_or(WHOLE, |class| self.share(mode, class));
            self.chart.rows[node].bars.push(Bar {
                task: colour,
                copy: Some(copy),
                label: label(task, assignment.copy, mode.pods),
                flavor: mode.flavor.clone(),
                size: size(&mode.requests),
                batch: self.problem.batches[task.batch].key.clone(),
                requests: amounts(mode, here),
                start: assignment.start,
                end: assignment.end,
                due: self.problem.due(task),
                share: share.saturating_mul(here).min(WHOLE),
                ..Bar::default()
            });
        }
    }

    /// Tells for each task with a place which of the others it waits for.
    fn tell_order(&mut self) {
        self.chart.after = vec![Vec::new(); self.chart.tasks.len()];
        for (task, colour) in &self.tasks {
            let before = self.problem.tasks[*task].after.iter();
            let mut before: Vec<usize> = before
                .filter_map(|before| self.tasks.get(before).copied())
                .collect();
            before.sort_unstable();
            self.chart.after[*colour] = before;
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

fn label(task: &PlannedTask, copy: u32, workers: u32) -> String {
    let name = match task.copies.as_slice() {
        [0] => task.name.clone(),
        _ => format!("{}-{copy}", task.name),
    };
    match workers {
        1 => name,
        _ => format!("{name} x{workers}"),
    }
}

/// The requests of a pod; of a gang also how many of its pods run on the node.
fn amounts(mode: &Mode, here: u32) -> String {
    let flavor = mode.flavor.as_ref();
    let flavor = flavor.map_or(String::new(), |flavor| format!("{flavor}: "));
    let gang = match mode.pods {
        1 => String::new(),
        all => format!(" each, {here} of {all} workers here"),
    };
    format!("{flavor}{}{gang}", requests(&mode.requests))
}

/// A part of a whole, from 1 to [`WHOLE`].
pub fn share(part: i64, whole: i64) -> u32 {
    let share = i128::from(part) * i128::from(WHOLE) / i128::from(whole.max(1));
    u32::try_from(share.clamp(1, i128::from(WHOLE))).unwrap_or(WHOLE)
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
