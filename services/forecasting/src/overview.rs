//! All that is known of what one series is heading for.

use std::collections::HashMap;

use chassis::{Base, directory::Scope};
use proto::{forecasting::v1 as pb, indicators::v1::FormulaTerm};
use uuid::Uuid;

use crate::{
    accuracy, board, course::courses, error::Error, explain::explain, judge::decimal, note,
};

/// Where the caller may read forecasts, and where explanations.
pub struct Sight {
    /// Of forecasts.
    pub forecasts: Scope,
    /// Of explanations.
    pub explanations: Scope,
}

/// Puts together what is known of a series.
pub async fn read(
    base: &Base,
    sight: &Sight,
    indicator_id: Uuid,
    unit_id: Uuid,
) -> Result<pb::Outlook, Error> {
    let (db, scope) = (&base.db, &sight.forecasts);
    let (forecast, item) = board::whole(db, scope, indicator_id, unit_id).await?;
    let of_series = accuracy::Filter {
        indicator_id: Some(indicator_id),
        unit_id: Some(unit_id),
        ..Default::default()
    };
    let units = units_beside(base, unit_id);
    let (parts, drivers, beside, notes, accuracy) = tokio::try_join!(
        board::parts(db, scope, indicator_id, unit_id),
        board::drivers(db, scope, indicator_id, unit_id),
        board::beside(db, scope, indicator_id, &units),
        note::list(db, &sight.explanations, indicator_id, unit_id),
        accuracy::read(db, scope, &of_series),
    )?;
    let line = item.assessment.clone().unwrap_or_default();
    Ok(pb::Outlook {
        explanation: Some(explain(&forecast, &item)),
        courses: courses(&forecast, &line),
        contributions: contributions(&parts, &line),
        comparables: beside.iter().map(|item| unit_outlook(item, None)).collect(),
        notes,
        drivers: effects(&forecast, &line, &drivers),
        accuracy: Some(accuracy),
        forecast: Some(forecast),
    })
}

/// The units of the same kind below the same one.
fn units_beside(base: &Base, unit_id: Uuid) -> Vec<Uuid> {
    let Some(unit) = base.directory.unit(unit_id) else {
        return Vec::new();
    };
    let all = base.directory.units();
    let beside = all.iter().filter(|other| {
        other.id != unit_id && other.kind == unit.kind && other.parent_id == unit.parent_id
    });
    beside.map(|other| other.id).collect()
}

/// What a series is calculated from, each with what one per cent more of it does to the outturn.
fn effects(
    whole: &pb::Forecast,
    line: &pb::Assessment,
    drivers: &HashMap<String, pb::RiskItem>,
) -> Vec<pb::Driver> {
    let Some(indicator) = &whole.indicator else {
        return Vec::new();
    };
    let formula = indicator.formula.clone().unwrap_or_default();
    let (above, below) = (&formula.numerator, &formula.denominator);
    let outturns: HashMap<&String, f64> = drivers
        .iter()
        .filter_map(|(id, item)| Some((id, item.assessment.as_ref()?.outturn.parse().ok()?)))
        .collect();
    let value = |term: &FormulaTerm| {
        let weight: f64 = term.weight.parse().unwrap_or(1.0);
        Some(weight * outturns.get(&term.indicator_id)?)
    };
    // The share that an indicator has in a sum, all of which must be known.
    let share = |id: &String, terms: &[FormulaTerm]| -> Option<f64> {
        let sum: f64 = terms.iter().map(value).sum::<Option<f64>>()?;
        let own = terms.iter().filter(|term| term.indicator_id == *id);
        let own: Vec<f64> = own.filter_map(value).collect();
        let share = own.iter().sum::<f64>() / if own.is_empty() { 1.0 } else { sum };
        share.is_finite().then_some(share)
    };
    let effect = |id: &String| {
        let total: f64 = line.outturn.parse().ok()?;
        let effect = total * (share(id, above)? - share(id, below)?) / 100.0;
        Some(decimal(effect, indicator.decimals + 2))
    };
    let ids = above.iter().chain(below).map(|term| &term.indicator_id);
    let effects: Vec<(&String, String)> =
        ids.map(|id| (id, effect(id).unwrap_or_default())).collect();
    let driver = |(id, effect_of_percent): (&String, String)| pb::Driver {
        item: drivers.get(id).cloned(),
        effect_of_percent,
    };
    let mut found: Vec<pb::Driver> = Vec::new();
    for driver in effects.into_iter().map(driver) {
        // What is on both sides is listed once.
        if driver.item.is_some() && found.iter().all(|one| one.item != driver.item) {
            found.push(driver);
        }
    }
    found
}

fn contributions(parts: &[pb::RiskItem], whole: &pb::Assessment) -> Vec<pb::UnitOutlook> {
    let read = |text: &str| text.parse::<f64>().ok();
    let total = read(&whole.outturn).filter(|total| *total != 0.0);
    let mut found: Vec<(f64, pb::UnitOutlook)> = parts
        .iter()
        .map(|item| {
            let outturn = item.assessment.as_ref().and_then(|own| read(&own.outturn));
            let share = outturn.zip(total).map(|(own, total)| own / total * 100.0);
            (outturn.unwrap_or_default(), unit_outlook(item, share))
        })
        .collect();
    found.sort_by(|(one, _), (other, _)| other.total_cmp(one));
    found.into_iter().map(|(_, outlook)| outlook).collect()
}

fn unit_outlook(item: &pb::RiskItem, share_percent: Option<f64>) -> pb::UnitOutlook {
    let own = item.assessment.clone().unwrap_or_default();
    pb::UnitOutlook {
        unit_id: item.unit_id.clone(),
        status: item.status,
        probability: own.probability,
        outturn: own.outturn,
        share_percent,
        year_to_date: item.year_to_date.clone(),
        recent_values: item.recent_values.clone(),
        target_value: own.target.map(|target| target.value).unwrap_or_default(),
    }
}
