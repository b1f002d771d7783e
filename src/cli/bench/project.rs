//! Multi-mode project scheduling in the format of PSPLIB (Kolisch and Sprecher 1997): an outside yardstick.
//!
//! The renewable resources are one node, the non-renewable ones are budgets, an activity is a task of one copy
//! with its modes; a period is a second. The source and the sink, which take no time, are left out.

use crate::model::{
    Exact, Goal, Mode, Near, NodeClass, PlannedBatch, PlannedTask, Problem, Resources, Run,
};

/// Length of a period, in ms.
const PERIOD: i64 = 1000;

/// One line of the table of requests.
struct Way {
    duration: i64,
    amounts: Vec<i64>,
}

/// Reads the text of a `.mm` file; the error says what is wrong with it.
pub fn read(text: &str) -> Result<Problem, String> {
    let renewable = count(text, "- renewable")?;
    let nonrenewable = count(text, "- nonrenewable")?;
    let jobs = count(text, "jobs (incl.")?;
    let successors = relations(text, jobs)?;
    let ways = requests(text, jobs, renewable + nonrenewable)?;
    let amounts = numbers(
        section(text, "RESOURCEAVAILABILITIES")?
            .nth(1)
            .unwrap_or_default(),
    );
    if amounts.len() != renewable + nonrenewable {
        return Err("RESOURCEAVAILABILITIES: not as many amounts as resources".into());
    }
    let (free, budgets) = amounts.split_at(renewable);
    let mut problem = Problem {
        goal: Goal::Makespan,
        resources: (1..=renewable).map(|index| format!("R{index}")).collect(),
        nodes: vec!["project".into()],
        classes: vec![NodeClass {
            nodes: vec![0],
            free: free.to_vec(),
            holds: Vec::new(),
            held: Vec::new(),
        }],
        batches: vec![PlannedBatch {
            key: "psplib/project".into(),
            weight: 1,
        }],
        budgets: budgets.to_vec(),
        ..Problem::default()
    };
    let order = order(&successors)?;
    let mut place = vec![None; jobs];
    for &job in order.iter().filter(|job| (1..jobs - 1).contains(*job)) {
        let before = (1..job)
            .chain(job + 1..jobs)
            .filter(|&other| successors[other].contains(&job));
        let after = before.filter_map(|other| place[other]).collect();
        place[job] = Some(problem.tasks.len());
        let modes = ways[job].iter().filter_map(|way| mode(way, free));
        problem.tasks.push(PlannedTask {
            near: Near::Anywhere,
            batch: 0,
            name: format!("job{}", job + 1),
            copies: vec![0],
            weight: 1,
            release: 0,
            due: None,
            after,
            modes: modes.collect(),
        });
    }
    match problem.tasks.iter().find(|task| task.modes.is_empty()) {
        Some(task) => Err(format!("{} fits in none of its modes", task.name)),
        None => Ok(problem),
    }
}

/// `None` where more is asked than there is.
fn mode(way: &Way, free: &[i64]) -> Option<Mode> {
    let (demand, spends) = way.amounts.split_at(free.len());
    let slots = demand.iter().zip(free).filter(|(demand, _)| **demand > 0);
    let slots = slots
        .map(|(demand, free)| free / demand)
        .min()
        .unwrap_or(i64::from(u32::MAX));
    let duration = way.duration.checked_mul(PERIOD)?;
    (slots > 0).then(|| Mode {
        communicate: Vec::new(),
        flavor: None,
        pods: 1,
        requests: Resources::default(),
        demand: demand.to_vec(),
        value: 0,
        spends: spends.to_vec(),
        runs: vec![Run {
            across: Vec::new(),
            class: 0,
            duration,
            read: 0,
            compute: duration,
            slots: u32::try_from(slots).unwrap_or(u32::MAX),
            price: Exact::default(),
            cost: 0,
        }],
    })
}

/// The number behind a word of the head, as `  - renewable   :  2   R`.
fn count(text: &str, word: &str) -> Result<usize, String> {
    let line = text
        .lines()
        .find(|line| line.trim_start().starts_with(word));
    let value = line
        .and_then(|line| line.split_once(':'))
        .map(|(_, value)| numbers(value));
    let found = value.and_then(|numbers| usize::try_from(*numbers.first()?).ok());
    found
        .filter(|count| (1..=10_000).contains(count) || word != "jobs (incl.")
        .filter(|count| *count <= 10_000)
        .ok_or_else(|| format!("no number of {word}"))
}

/// The lines below a heading, up to the next line of stars.
fn section<'t>(text: &'t str, heading: &str) -> Result<impl Iterator<Item = &'t str>, String> {
    let start = text.find(heading).ok_or_else(|| format!("no {heading}"))?;
    let lines = text[start..].lines().skip(1);
    Ok(lines.take_while(|line| !line.starts_with("****")))
}

fn numbers(line: &str) -> Vec<i64> {
    let words = line.split_whitespace();
    words.filter_map(|word| word.parse().ok()).collect()
}

/// The successors of each job, counted from 0.
fn relations(text: &str, jobs: usize) -> Result<Vec<Vec<usize>>, String> {
    let mut successors = vec![Vec::new(); jobs];
    for line in section(text, "PRECEDENCE RELATIONS")? {
        let [job, _, _, behind @ ..] = &numbers(line)[..] else {
            continue;
        };
        let index = |job: i64| {
            let index = usize::try_from(job - 1).ok().filter(|index| *index < jobs);
            index.ok_or_else(|| format!("PRECEDENCE RELATIONS: there is no job {job}"))
        };
        let behind: Result<Vec<usize>, String> = behind.iter().map(|&job| index(job)).collect();
        successors[index(*job)?] = behind?;
    }
    Ok(successors)
}

/// The modes of each job.
fn requests(text: &str, jobs: usize, resources: usize) -> Result<Vec<Vec<Way>>, String> {
    let mut ways: Vec<Vec<Way>> = Vec::new();
    for line in section(text, "REQUESTS/DURATIONS")? {
        let numbers = numbers(line);
        let Some(first) = numbers
            .len()
            .checked_sub(resources + 2)
            .filter(|first| *first <= 1)
        else {
            continue;
        };
        if first == 1 {
            ways.push(Vec::new());
        }
        let [_, duration, amounts @ ..] = &numbers[first..] else {
            continue;
        };
        if *duration < 0 || amounts.iter().any(|amount| *amount < 0) {
            return Err("REQUESTS/DURATIONS: a number below 0".into());
        }
        let job = ways
            .last_mut()
            .ok_or("REQUESTS/DURATIONS: a mode without a job")?;
        job.push(Way {
            duration: *duration,
            amounts: amounts.to_vec(),
        });
    }
    if ways.len() == jobs {
        Ok(ways)
    } else {
        Err(format!("REQUESTS/DURATIONS: {} of {jobs} jobs", ways.len()))
    }
}

/// The jobs, each after those that it waits for.
fn order(successors: &[Vec<usize>]) -> Result<Vec<usize>, String> {
    let mut waits = vec![0usize; successors.len()];
    for &next in successors.iter().flatten() {
        waits[next] += 1;
    }
    let mut order: Vec<usize> = (0..waits.len()).filter(|&job| waits[job] == 0).collect();
    let mut at = 0;
    while let Some(&job) = order.get(at) {
        at += 1;
        for &next in &successors[job] {
            waits[next] -= 1;
            if waits[next] == 0 {
                order.push(next);
            }
        }
    }
    if order.len() == waits.len() {
        Ok(order)
    } else {
        Err("PRECEDENCE RELATIONS: jobs wait for each other".into())
    }
}
