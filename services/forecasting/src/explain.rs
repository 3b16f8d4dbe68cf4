//! Two sentences about a series, made from its numbers alone: what is expected of the plan, and what it takes or stands
//! in the way.

mod needed;
mod words;

use chassis::language::Language::{self, En, Vi};
use proto::{
    calendar::v1::Frequency,
    forecasting::v1::{self as pb, NoForecastReason, RiskStatus},
    indicators::v1::{Comparator, Indicator, Target},
    period::Period,
};

pub use words::written;
use words::{capital, percent, singular, words};

/// Explains the assessment that the board shows.
#[must_use]
pub fn explain(forecast: &pb::Forecast, item: &pb::RiskItem) -> pb::StatusExplanation {
    let text = |language| Teller::new(language, forecast, item).tell();
    pb::StatusExplanation {
        text_vi: text(Vi),
        text_en: text(En),
    }
}

struct Teller<'a> {
    language: Language,
    forecast: &'a pb::Forecast,
    item: &'a pb::RiskItem,
    indicator: Indicator,
    assessment: pb::Assessment,
}

impl<'a> Teller<'a> {
    fn new(language: Language, forecast: &'a pb::Forecast, item: &'a pb::RiskItem) -> Self {
        Self {
            language,
            forecast,
            item,
            indicator: forecast.indicator.clone().unwrap_or_default(),
            assessment: item.assessment.clone().unwrap_or_default(),
        }
    }

    fn tell(&self) -> String {
        format!("{} {}", self.expected(), self.needed())
    }

    fn say(&self, vi: String, en: String) -> String {
        match self.language {
            Vi => vi,
            En => en,
        }
    }

    fn expected(&self) -> String {
        let assessment = &self.assessment;
        let Some(target) = &assessment.target else {
            return self.say(
                capital(self.no_forecast(Vi)) + ".",
                capital(self.no_forecast(En)) + ".",
            );
        };
        let plan = self.plan(target);
        let outturn = self.amount(&assessment.outturn);
        match (assessment.status(), assessment.probability) {
            (RiskStatus::Met, _) => self.say(
                format!("Đã đạt kế hoạch {plan}: số chính thức là {outturn}."),
                format!("The plan for {plan} was met: the official figure is {outturn}."),
            ),
            (RiskStatus::Missed, _) => self.say(
                format!("Không đạt kế hoạch {plan}: số chính thức là {outturn}."),
                format!("The plan for {plan} was missed: the official figure is {outturn}."),
            ),
            (_, Some(probability)) => {
                let (chance, words) = (percent(probability), words(self.language, probability));
                let (low, high) = (&assessment.outturn_low, &assessment.outturn_high);
                let (low, high) = (self.number(low), self.number(high));
                let range = if low == high {
                    String::new()
                } else {
                    self.say(
                        format!(" (80% trong khoảng {low} đến {high})"),
                        format!(" (80% between {low} and {high})"),
                    )
                };
                self.say(
                    format!("Xác suất đạt kế hoạch {plan} là {chance}, {words}: dự báo {outturn}{range}."),
                    format!(
                        "The probability of meeting the plan for {plan} is {chance}, {words}; expected: {outturn}{range}."
                    ),
                )
            }
            (_, None) => self.say(
                format!(
                    "Chưa có xác suất đạt kế hoạch {plan}: {}.",
                    self.no_forecast(Vi)
                ),
                format!(
                    "There is no probability of meeting the plan for {plan} yet: {}.",
                    self.no_forecast(En)
                ),
            ),
        }
    }

    /// "năm 2026 (ít nhất 85,9 tỷ đồng)"
    fn plan(&self, target: &Target) -> String {
        let span = Period::try_from(&target.period).ok();
        let span = span.map_or_else(String::new, |span| self.period(span));
        let value = self.amount(&target.value);
        let bound = match target.comparator() {
            Comparator::AtMost => self.say(format!("tối đa {value}"), format!("at most {value}")),
            Comparator::Within if target.value == target.upper_value => {
                self.say(format!("đúng {value}"), format!("exactly {value}"))
            }
            Comparator::Within => {
                let (low, high) = (self.number(&target.value), self.amount(&target.upper_value));
                self.say(format!("từ {low} đến {high}"), format!("{low} to {high}"))
            }
            Comparator::AtLeast | Comparator::Unspecified => {
                self.say(format!("ít nhất {value}"), format!("at least {value}"))
            }
        };
        format!("{span} ({bound})")
    }

    fn no_forecast(&self, language: Language) -> &'static str {
        let reason = match self.assessment.no_forecast_reason() {
            NoForecastReason::Unspecified => self.forecast.no_forecast_reason(),
            reason => reason,
        };
        let (vi, en) = match reason {
            NoForecastReason::TooShort => {
                ("chưa đủ số kỳ để dự báo", "too few periods are reported")
            }
            NoForecastReason::Annual => (
                "chỉ tiêu năm, chưa đến kỳ",
                "it is reported once a year and not due yet",
            ),
            NoForecastReason::NoTarget => (
                "chưa có kế hoạch để so sánh",
                "there is no plan to measure against",
            ),
            NoForecastReason::Context => (
                "chỉ tiêu chỉ theo dõi, không giao kế hoạch",
                "it is watched only, without a plan",
            ),
            NoForecastReason::Stale => {
                ("số liệu mới nhất đã quá cũ", "the latest figure is too old")
            }
            NoForecastReason::UnitEnded => {
                ("đơn vị không còn hoạt động", "the unit no longer exists")
            }
            NoForecastReason::Incomplete => (
                "còn thiếu số liệu của kỳ kế hoạch",
                "a figure of the plan's period is missing",
            ),
            NoForecastReason::Unspecified => ("chưa đủ số liệu", "too little is known"),
        };
        match language {
            Vi => vi,
            En => en,
        }
    }

    fn period(&self, period: Period) -> String {
        let (year, number) = (period.year(), period.number());
        match period.frequency() {
            Frequency::Month => self.say(
                format!("tháng {number}/{year}"),
                period.first_day().format("%B %Y").to_string(),
            ),
            Frequency::Quarter => {
                self.say(format!("quý {number}/{year}"), format!("Q{number} {year}"))
            }
            Frequency::Half => {
                let (vi, en) = if number == 1 {
                    ("đầu", "first")
                } else {
                    ("cuối", "second")
                };
                self.say(
                    format!("6 tháng {vi} năm {year}"),
                    format!("the {en} half of {year}"),
                )
            }
            Frequency::Year | Frequency::Unspecified => {
                self.say(format!("năm {year}"), year.to_string())
            }
        }
    }

    fn amount(&self, decimal: &str) -> String {
        let measure = match self.language {
            Vi => &self.indicator.measure_vi,
            En if self.indicator.measure_en.is_empty() => &self.indicator.measure_code,
            En => &self.indicator.measure_en,
        };
        let number = self.number(decimal);
        let is_one = self.language == En && matches!(decimal.parse(), Ok(1.0 | -1.0));
        match measure.as_str() {
            "" => number,
            measure if measure.starts_with('%') => number + "%",
            measure if is_one => {
                let measure = singular(measure, &self.indicator.measure_code);
                format!("{number} {measure}")
            }
            measure => format!("{number} {measure}"),
        }
    }

    fn number(&self, decimal: &str) -> String {
        written(self.language, decimal)
    }
}

#[cfg(test)]
mod tests {
    use proto::{
        forecasting::v1::NoPaceReason,
        indicators::v1::{Observation, Vintage, YearRule},
    };

    use super::*;

    fn period(code: &str) -> Option<proto::calendar::v1::Period> {
        Some(proto::calendar::v1::Period {
            code: code.to_owned(),
        })
    }

    /// Retail sales: 61 trillion by October, 10 a month needed.
    fn told() -> (pb::Forecast, pb::RiskItem) {
        let mut indicator = Indicator {
            measure_vi: "tỷ đồng".to_owned(),
            measure_en: "billion VND".to_owned(),
            ..Default::default()
        };
        indicator.set_year_rule(YearRule::Sum);
        indicator.set_frequency(Frequency::Month);
        let mut target = Target {
            period: period("2026"),
            value: "85900".to_owned(),
            ..Default::default()
        };
        target.set_comparator(Comparator::AtLeast);
        let mut assessment = pb::Assessment {
            target: Some(target),
            probability: Some(0.12),
            outturn: "78200.50".to_owned(),
            outturn_low: "74000".to_owned(),
            outturn_high: "82100".to_owned(),
            required_pace: "12450".to_owned(),
            required_growth_percent: "24.1".to_owned(),
            remaining_periods: 2,
            ..Default::default()
        };
        assessment.set_status(RiskStatus::Red);
        let mut last = Observation {
            period: period("2026-10"),
            value: "6100".to_owned(),
            ..Default::default()
        };
        last.set_vintage(Vintage::Official);
        let item = pb::RiskItem {
            assessment: Some(assessment),
            last_observation: Some(last),
            year_to_date: "61000".to_owned(),
            ..Default::default()
        };
        let forecast = pb::Forecast {
            indicator: Some(indicator),
            ..Default::default()
        };
        (forecast, item)
    }

    #[test]
    fn a_red_one_is_told_with_what_it_takes() {
        let (forecast, item) = told();
        let text = explain(&forecast, &item);
        assert_eq!(
            text.text_vi,
            "Xác suất đạt kế hoạch năm 2026 (ít nhất 85.900 tỷ đồng) là 12%, khó đạt: dự báo 78.200,5 tỷ đồng \
             (80% trong khoảng 74.000 đến 82.100). Lũy kế đến tháng 10/2026 là 61.000 tỷ đồng; mỗi tháng trong 2 tháng \
             còn lại cần bình quân 12.450 tỷ đồng, tức +24,1% so với cùng kỳ."
        );
        assert_eq!(
            text.text_en,
            "The probability of meeting the plan for 2026 (at least 85,900 billion VND) is 12%, unlikely; expected: \
             78,200.5 billion VND (80% between 74,000 and 82,100). By October 2026 it came to 61,000 billion VND; \
             each of the 2 remaining months must bring 12,450 billion VND on average, which is +24.1% on the same \
             months of last year."
        );
    }

    #[test]
    fn a_quarter_is_told_with_its_own_sum() {
        let (mut forecast, mut item) = told();
        let figure = |code: &str, value: &str| Observation {
            period: period(code),
            value: value.to_owned(),
            ..Default::default()
        };
        forecast.history = ["2026-08", "2026-09", "2026-10"]
            .map(|code| figure(code, "0.5"))
            .into();
        let indicator = forecast.indicator.as_mut().unwrap();
        indicator.measure_en = "ships".to_owned();
        indicator.measure_code = "ship".to_owned();
        let mut told = |code: &str| {
            let target = item.assessment.as_mut().unwrap().target.as_mut().unwrap();
            target.period = period(code);
            let text = explain(&forecast, &item).text_en;
            text[text.find(").").unwrap() + 3..]
                .split(';')
                .next()
                .unwrap()
                .to_owned()
        };
        assert_eq!(told("2026-Q4"), "By October 2026 it came to 0.5 ships");
        assert_eq!(told("2026-H2"), "By October 2026 it came to 1.5 ships");
        assert_eq!(
            told("2027-Q1"),
            "The latest figure is 6,100 ships (October 2026)"
        );
    }

    #[test]
    fn what_is_equal_is_said_so() {
        let (forecast, mut item) = told();
        let mut assessment = item.assessment.take().unwrap();
        assessment.required_growth_percent = "0".to_owned();
        let target = assessment.target.as_mut().unwrap();
        target.set_comparator(Comparator::Within);
        target.upper_value = target.value.clone();
        item.assessment = Some(assessment);
        let text = explain(&forecast, &item);
        let parts = ["(đúng 85.900 tỷ đồng)", "12.450 tỷ đồng, xấp xỉ cùng kỳ."];
        assert!(
            parts.iter().all(|part| text.text_vi.contains(part)),
            "{text:?}"
        );
        let parts = [
            "(exactly 85,900 ",
            "average, about as in the same months of last",
        ];
        assert!(
            parts.iter().all(|part| text.text_en.contains(part)),
            "{text:?}"
        );
    }

    #[test]
    fn what_is_over_and_what_is_not_known_is_said_so() {
        let (forecast, mut item) = told();
        let english = |item: &pb::RiskItem| explain(&forecast, item).text_en;
        let mut assessment = item.assessment.clone().unwrap();
        assessment.set_status(RiskStatus::Missed);
        assessment.set_no_pace_reason(NoPaceReason::Over);
        item.assessment = Some(assessment.clone());
        assert_eq!(
            english(&item),
            "The plan for 2026 (at least 85,900 billion VND) was missed: the official figure is 78,200.5 billion VND. \
             The latest figure is 6,100 billion VND (October 2026)."
        );
        assessment.set_status(RiskStatus::Overdue);
        assessment.probability = Some(0.001);
        assessment.overdue_period = period("2026-08");
        item.assessment = Some(assessment.clone());
        assert!(english(&item).contains("is < 1%, very unlikely"));
        assert!(english(&item).ends_with(
            "The figure of August 2026 is overdue; the latest is 6,100 billion VND (October 2026)."
        ));
        assessment.set_status(RiskStatus::Red);
        assessment.set_no_pace_reason(NoPaceReason::Unspecified);
        item.assessment = Some(assessment.clone());
        assert!(english(&item).contains(
            "The figure of August 2026 is overdue; by October 2026 it came to 61,000 billion VND; each of"
        ));
        assessment.overdue_period = None;
        assessment.set_status(RiskStatus::Orange);
        assessment.set_no_pace_reason(NoPaceReason::Impossible);
        item.assessment = Some(assessment);
        assert!(english(&item).ends_with("nothing that remains can make up for it."));
        let mut bare = pb::Assessment::default();
        bare.set_no_forecast_reason(NoForecastReason::NoTarget);
        let bare = pb::RiskItem {
            assessment: Some(bare),
            ..Default::default()
        };
        assert_eq!(
            explain(&forecast, &bare).text_vi,
            "Chưa có kế hoạch để so sánh. Chưa có số liệu nào được báo cáo."
        );
    }
}
