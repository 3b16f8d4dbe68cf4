//! How indicators are calculated from others.

use std::collections::{BTreeMap, HashMap, HashSet};

use proto::indicators::v1 as pb;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{error::Error, indicator::Indicator, parse};

/// Terms on either side at most.
const MOST: usize = 12;
/// Indicators that one is calculated from at most, those of its parts included: each is forecast for it.
const LARGEST: usize = 100;

/// A formula: factor times the sum of the numerator, divided by that of the denominator.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Formula {
    numerator: Vec<Term>,
    denominator: Vec<Term>,
    factor: Decimal,
}

/// An indicator times a weight.
#[derive(Clone, Debug, Deserialize, Serialize)]
struct Term {
    indicator_id: Uuid,
    indicator_code: String,
    weight: Decimal,
}

impl Formula {
    /// Reads a formula; which indicators its codes mean is found out later.
    pub fn read(message: &pb::Formula) -> Result<Self, Error> {
        let side = |field: &str, terms: &[pb::FormulaTerm]| {
            let terms = terms
                .iter()
                .enumerate()
                .map(|(at, term)| Term::read(term).map_err(|error| error.of_entry(field, at)));
            terms.collect::<Result<Vec<_>, _>>()
        };
        if !(1..=MOST).contains(&message.numerator.len()) || message.denominator.len() > MOST {
            return Err(Error::invalid(
                "formula",
                "phải có 1 đến 12 chỉ tiêu ở tử số và tối đa 12 ở mẫu số",
                "must have 1 to 12 indicators above and at most 12 below the line",
            ));
        }
        Ok(Self {
            numerator: side("formula.numerator", &message.numerator)?,
            denominator: side("formula.denominator", &message.denominator)?,
            factor: coefficient("formula.factor", &message.factor)?,
        })
    }

    fn terms(&mut self) -> impl Iterator<Item = &mut Term> {
        self.numerator.iter_mut().chain(&mut self.denominator)
    }
}

impl Term {
    fn read(message: &pb::FormulaTerm) -> Result<Self, Error> {
        Ok(Self {
            indicator_id: Uuid::nil(),
            indicator_code: parse::text("indicator_code", &message.indicator_code, 1, 40)?
                .to_owned(),
            weight: coefficient("weight", &message.weight)?,
        })
    }
}

/// Reads a number that something counts times, 1 if it is not given.
fn coefficient(field: &str, text: &str) -> Result<Decimal, Error> {
    let value = parse::optional_decimal(field, text)?.unwrap_or(Decimal::ONE);
    if value.is_zero() {
        return Err(Error::invalid(field, "phải khác 0", "must not be 0"));
    }
    Ok(value.normalize())
}

impl From<Formula> for pb::Formula {
    fn from(formula: Formula) -> Self {
        let terms = |terms: Vec<Term>| terms.into_iter().map(Into::into).collect();
        Self {
            numerator: terms(formula.numerator),
            denominator: terms(formula.denominator),
            factor: formula.factor.to_string(),
        }
    }
}

impl From<Term> for pb::FormulaTerm {
    fn from(term: Term) -> Self {
        Self {
            indicator_code: term.indicator_code,
            weight: term.weight.to_string(),
            indicator_id: term.indicator_id.to_string(),
        }
    }
}

/// Finds out which indicators the codes in formulas mean: those of the same import or known ones.
pub async fn resolve(tx: &mut PgConnection, indicators: &mut [Indicator]) -> Result<(), Error> {
    let mut ids: HashMap<String, Uuid> = HashMap::new();
    ids.extend(indicators.iter().map(|one| (one.code.clone(), one.id)));
    let known = sqlx::query!("SELECT code, id FROM indicator");
    let known = known.fetch_all(tx).await?;
    ids.extend(known.into_iter().map(|row| (row.code, row.id)));
    for (at, indicator) in indicators.iter_mut().enumerate() {
        let formula = indicator.formula.as_mut();
        for term in formula.into_iter().flat_map(|formula| formula.0.terms()) {
            term.indicator_id = *ids.get(&term.indicator_code).ok_or_else(|| {
                let code = &term.indicator_code;
                Error::invalid(
                    "formula",
                    format!("không có chỉ tiêu {code}"),
                    format!("there is no indicator {code}"),
                )
                .of_entry("indicators", at)
            })?;
        }
    }
    Ok(())
}

/// Refuses formulas of what is reported at another frequency, of themselves, or of too much, whichever side of them is
/// new.
pub async fn demand_sound(tx: &mut PgConnection, indicators: &[Indicator]) -> Result<(), Error> {
    let rows = sqlx::query!(
        r#"SELECT i.code, p.code AS part, p.frequency = i.frequency AS "is_same_frequency!"
        FROM indicator i
        CROSS JOIN LATERAL jsonb_array_elements((i.formula -> 'numerator') || (i.formula -> 'denominator')) AS t (term)
        JOIN indicator p ON p.id = (t.term ->> 'indicator_id')::uuid
        WHERE i.formula IS NOT NULL
        ORDER BY i.code, p.code"#
    );
    let rows = rows.fetch_all(tx).await?;
    let wrong = |codes: &[&str], vi: String, en: String| {
        let is_wrong = |one: &Indicator| codes.contains(&one.code.as_str());
        let at = indicators.iter().position(is_wrong).unwrap_or_default();
        Error::invalid("formula", vi, en).of_entry("indicators", at)
    };
    let mut parts: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for row in &rows {
        let (code, part) = (&row.code, &row.part);
        if !row.is_same_frequency {
            return Err(wrong(
                &[code, part],
                format!("{code} và {part} phải cùng kỳ báo cáo"),
                format!("{code} and {part} must be of the same frequency"),
            ));
        }
        parts.entry(code).or_default().push(part);
    }
    let (sizes, circular) = sizes(parts);
    if let Some((code, _)) = sizes.iter().find(|(_, size)| **size > LARGEST) {
        return Err(wrong(
            &[code],
            format!("{code} được tính từ quá {LARGEST} chỉ tiêu, kể cả qua các chỉ tiêu khác"),
            format!(
                "{code} is calculated from more than {LARGEST} indicators, those of its parts included"
            ),
        ));
    }
    if let [code, ..] = circular[..] {
        let all = circular.join(", ");
        return Err(wrong(
            &circular,
            format!("{code} được tính từ chính nó; hãy xem công thức của: {all}"),
            format!("{code} would be calculated from itself; look at the formulas of: {all}"),
        ));
    }
    Ok(())
}

/// From how many indicators each is calculated, at any depth and counting each as often as it is used; and those that
/// would be calculated from themselves.
fn sizes<'a>(
    mut parts: BTreeMap<&'a str, Vec<&'a str>>,
) -> (BTreeMap<&'a str, usize>, Vec<&'a str>) {
    let mut sizes: BTreeMap<&str, usize> = BTreeMap::new();
    loop {
        let size = |of: &[&str]| -> Option<usize> {
            let sizes = of.iter().map(|part| match parts.contains_key(part) {
                true => None,
                false => Some(1 + sizes.get(part).copied().unwrap_or_default()),
            });
            sizes.sum()
        };
        let found = parts
            .iter()
            .filter_map(|(code, of)| Some((*code, size(of)?.min(LARGEST + 1))));
        let found: Vec<(&str, usize)> = found.collect();
        if found.is_empty() {
            break;
        }
        parts.retain(|code, _| found.iter().all(|(one, _)| one != code));
        sizes.extend(found);
    }
    // What only uses them is in order.
    let mut circular = parts;
    loop {
        let used: HashSet<&str> = circular.values().flatten().copied().collect();
        let before = circular.len();
        circular.retain(|code, _| used.contains(code));
        if circular.len() == before {
            return (sizes, circular.into_keys().collect());
        }
    }
}
