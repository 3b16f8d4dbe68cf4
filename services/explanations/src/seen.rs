//! The unit reads a request: noted once, by the first of its people who does.

use chassis::{Base, Caller};

use crate::{
    error::Error,
    explanation::{self, Explanation, Viewer},
    life::{Side, State},
    step,
    thread::{self, Entry, Kind},
};

/// Notes that the unit has read a request if the caller is one of its people; whether anything changed.
pub async fn mark(base: &Base, caller: &Caller, explanation: &Explanation) -> Result<bool, Error> {
    if explanation.state != State::Sent || !reads_for_unit(base, caller, explanation) {
        return Ok(false);
    }
    let actor = step::actor(caller, &base.directory, Side::Asked, explanation)?;
    let mut tx = base.db.begin().await?;
    if !explanation::mark_seen(&mut tx, explanation.id).await? {
        return Ok(false);
    }
    let entry = Entry::plain(Kind::Seen, String::new());
    thread::insert(&mut tx, explanation.id, &actor, &entry).await?;
    step::told(&mut tx, &Viewer::new(caller, &[]), explanation.id).await?;
    tx.commit().await?;
    Ok(true)
}

/// One of the unit's people with a right to the request there; not the requester, who may work there too.
fn reads_for_unit(base: &Base, caller: &Caller, explanation: &Explanation) -> bool {
    let Some(person) = caller.person() else {
        return false;
    };
    let home = base
        .directory
        .principal(&person.to_string())
        .and_then(|principal| principal.home_unit);
    let works_there =
        home.is_some_and(|home| base.directory.subtree(explanation.unit_id).contains(&home));
    let has_right = ["explanations.answer", "explanations.read"]
        .iter()
        .any(|permission| caller.scope(permission).covers(explanation.unit_id, None));
    works_there && has_right && person != explanation.requester_id
}
