//! Runs the program on files of the test.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

/// A node of 8 cores, 32 GiB and 4 GPUs.
pub const NODE: &str = "apiVersion: v1
kind: Node
metadata: {name: n1}
status:
  allocatable: {cpu: 8, memory: 32Gi, pods: 110, nvidia.com/gpu: 4}
";

/// A batch of one task; the tests count its lines.
pub const BATCH: &str = "apiVersion: taskbatch.dev/v1alpha1
kind: TaskBatch
metadata:
  name: demo
spec:
  tasks:
  - name: train
    count: 1
    template:
      spec:
        containers:
        - name: main
          image: example/train:1
    resources:
      cpu: {min: 2, max: 8, step: 2}
      nvidia.com/gpu:
        min: 1
        max: 4
        step: 1
    estimate:
      read: 20s
      process: 30m
";

/// The path of an example, such as `demo.yaml`.
pub fn example(name: &str) -> String {
    format!("{}/examples/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// A folder of its own for one test.
pub struct Folder(PathBuf);

impl Folder {
    /// An empty folder.
    pub fn new(test: &str) -> Self {
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
            .join(format!("plan-{test}-{}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a folder");
        Self(path)
    }

    /// Writes a file into it.
    pub fn write(&self, name: &str, text: &str) -> &Self {
        std::fs::write(self.0.join(name), text).expect("a file");
        self
    }

    /// Runs the program in it.
    pub fn run(&self, arguments: &[&str]) -> Done {
        self.run_with(arguments, "")
    }

    /// Plans `batch.yaml` on `nodes.yaml`, with more arguments.
    pub fn plan(&self, more: &[&str]) -> Done {
        let files = ["plan", "-f", "batch.yaml", "--nodes", "nodes.yaml"];
        self.run(&[&files, more].concat())
    }

    /// Runs the program in it, with a text on standard input.
    pub fn run_with(&self, arguments: &[&str], input: &str) -> Done {
        let mut child = self.command(arguments).spawn().expect("the program");
        let mut stdin = child.stdin.take().expect("standard input");
        // A program that does not read may have ended before.
        let _ = stdin.write_all(input.as_bytes());
        drop(stdin);
        Done::of(child.wait_with_output().expect("an end"))
    }

    /// The program with its arguments, not yet started.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_taskbatch"));
        command
            .args(arguments)
            .current_dir(&self.0)
            .env("NO_COLOR", "1");
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// How a run of the program ended.
#[derive(Debug)]
pub struct Done {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Done {
    fn of(output: Output) -> Self {
        Self {
            code: output.status.code(),
            out: String::from_utf8(output.stdout).expect("UTF-8"),
            err: String::from_utf8(output.stderr).expect("UTF-8"),
        }
    }

    /// The printed plan.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}
