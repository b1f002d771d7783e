//! TaskBatch: argument parsing and wiring only.
fn main() {
    println!("{}", taskbatch::api::crd_yaml().unwrap_or_default());
}
