//! A figure as somebody enters it.

use chrono::NaiveDate;
use proto::{indicators::v1 as pb, period::Period};
use rust_decimal::Decimal;
use uuid::Uuid;

use crate::{
    error::Error,
    indicator::Indicator,
    number::{self, Problem, vietnamese},
    parse,
};

/// A figure as it was entered, read and checked.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The unit.
    pub unit_id: Uuid,
    /// The indicator's owner answers for the figure.
    pub by_owner: bool,
    /// The period.
    pub period: Period,
    /// How final, as the number of the contract's enum.
    pub vintage: i16,
    /// The value.
    pub value: Decimal,
    /// A remark.
    pub note: String,
    /// It is kept, not yet sent.
    pub is_draft: bool,
    /// The draft that it replaces, as it was read; empty for none.
    pub etag: String,
}

impl Entry {
    /// Reads a request for this indicator, on this day of the city.
    pub fn read(
        request: &pb::CreateSubmissionRequest,
        indicator: &Indicator,
        (unit_id, by_owner): (Uuid, bool),
        today: NaiveDate,
    ) -> Result<Self, Error> {
        let period = parse::period("period", &request.period)?;
        indicator.demand_frequency("period", period)?;
        parse::demand_begun("period", period, today)?;
        let vintage = pb::Vintage::try_from(request.vintage)
            .map_err(|_| Error::invalid("vintage", "không có giá trị này", "is not known"))?;
        let vintage = match vintage {
            pb::Vintage::Unspecified => pb::Vintage::Estimate,
            given => given,
        };
        Ok(Self {
            unit_id,
            by_owner,
            period,
            vintage: vintage as i16,
            value: read_value(&request.value, indicator)?,
            note: parse::text("note", &request.note, 0, 2000)?.to_owned(),
            is_draft: request.draft,
            etag: request.etag.clone(),
        })
    }
}

/// Reads a value as it was typed and holds it against the indicator's range.
fn read_value(text: &str, indicator: &Indicator) -> Result<Decimal, Error> {
    let is_percent = indicator.measure_code.starts_with('%');
    let value = number::parse(text, is_percent).map_err(|problem| {
        let (vi, en) = described(&problem);
        Error::invalid("value", vi, en)
    })?;
    indicator.demand_plausible("value", value)?;
    Ok(value)
}

fn described(problem: &Problem) -> (String, String) {
    match problem {
        Problem::NotANumber => (
            "không phải là số; hãy viết như 415.000 hoặc 8,03".to_owned(),
            "is not a number; write it as 415,000 or 8.03".to_owned(),
        ),
        Problem::TooLong => (
            "có quá nhiều chữ số".to_owned(),
            "has too many digits".to_owned(),
        ),
        Problem::Ambiguous {
            thousands,
            decimals,
        } => (
            format!(
                "có thể hiểu là {thousands} hoặc {}; hãy viết {thousands} hoặc thêm chữ số thập phân: {}0",
                vietnamese(*decimals),
                vietnamese(*decimals)
            ),
            format!(
                "can be read as {thousands} or as {decimals}; write {thousands} or {decimals}0"
            ),
        ),
    }
}
