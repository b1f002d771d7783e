//! `taskbatch crd`: the CustomResourceDefinition.

use super::{Error, Exit, print};
use crate::api;

/// Prints the CustomResourceDefinition as YAML.
pub fn crd() -> Result<Exit, Error> {
    let text = api::crd_yaml().map_err(|error| Error::Machine(error.to_string()))?;
    print(|out| out.write_all(text.as_bytes()))?;
    Ok(Exit::Done)
}
