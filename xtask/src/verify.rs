use crate::{base::Base, project::Project};
use anyhow::Result;
pub fn verify(_: &Project, _: &Base, _: bool) -> Result<()> {
    todo!()
}
