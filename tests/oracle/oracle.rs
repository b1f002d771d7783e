//! The Go program that asks Kubernetes' own code.

use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::thread;

use serde_json::Value;

/// Questions on their way at a time.
const BATCH: usize = 256;
/// Processes that share the cases of a test.
const WORKERS: u64 = 2;

/// A running oracle; it ends with its standard input.
pub struct Oracle {
    child: Child,
    questions: Option<BufWriter<ChildStdin>>,
    answers: BufReader<ChildStdout>,
}

impl Oracle {
    /// Starts it, after a build if need be.
    pub fn start() -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cluster/build.sh");
        let built = Command::new("sh")
            .arg(&script)
            .stderr(Stdio::inherit())
            .output()
            .expect("a shell");
        assert!(built.status.success(), "{} failed", script.display());
        let folder = String::from_utf8(built.stdout).expect("a path");
        let mut child = Command::new(Path::new(folder.trim()).join("oracle"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the oracle runs");
        Self {
            questions: child.stdin.take().map(BufWriter::new),
            answers: BufReader::new(child.stdout.take().expect("a pipe")),
            child,
        }
    }

    /// Its answers, in the order of the questions.
    fn ask(&mut self, questions: &[&Value]) -> Vec<Value> {
        let writer = self.questions.as_mut().expect("open until it is dropped");
        // Both pipes are small: whoever writes all before reading may wait for ever.
        thread::scope(|scope| {
            scope.spawn(move || {
                for question in questions {
                    serde_json::to_writer(&mut *writer, question).expect("the oracle reads");
                    writer.write_all(b"\n").expect("the oracle reads");
                }
                writer.flush().expect("the oracle reads");
            });
            questions
                .iter()
                .map(|_| answer(&mut self.answers))
                .collect()
        })
    }
}

fn answer(answers: &mut impl BufRead) -> Value {
    let mut line = String::new();
    answers.read_line(&mut line).expect("the oracle answers");
    serde_json::from_str(&line).expect("the oracle answers in JSON")
}

impl Drop for Oracle {
    fn drop(&mut self) {
        drop(self.questions.take());
        let _ = self.child.wait();
    }
}

/// Makes the cases of all seeds, asks the oracle about each, and gives both to `judge`. What it returns of each worker
/// comes back; a worker starts with a default.
pub fn compare<T: Default + Send>(
    seeds: std::ops::Range<u64>,
    question: impl Fn(u64) -> Value + Sync,
    judge: impl Fn(&mut T, u64, &Value, &Value) + Sync,
) -> Vec<T> {
    let work = |worker: u64| {
        let mut oracle = Oracle::start();
        let mut found = T::default();
        let mine: Vec<u64> = seeds
            .clone()
            .filter(|seed| seed % WORKERS == worker)
            .collect();
        for seeds in mine.chunks(BATCH) {
            let questions: Vec<Value> = seeds.iter().map(|seed| question(*seed)).collect();
            let answers = oracle.ask(&questions.iter().collect::<Vec<_>>());
            for ((seed, question), answer) in seeds.iter().zip(&questions).zip(&answers) {
                judge(&mut found, *seed, question, answer);
            }
        }
        found
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..WORKERS)
            .map(|worker| scope.spawn(move || work(worker)))
            .collect();
        let ended = workers.into_iter().map(|worker| worker.join());
        ended
            .map(|found| found.expect("a worker that ends"))
            .collect()
    })
}
