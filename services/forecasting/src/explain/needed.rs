//! The second sentence: what has come so far, and what the rest must bring.

use proto::{
    calendar::v1::Frequency,
    forecasting::v1::{NoPaceReason, RiskStatus},
    indicators::v1::{Comparator, YearRule},
    period::Period,
};
use rust_decimal::Decimal;

use super::{Teller, words::uncapital};

impl Teller<'_> {
    pub fn needed(&self) -> String {
        let last = self.item.last_observation.as_ref();
        // What is not on the board has a history all the same.
        let Some(last) = last.or(self.forecast.history.last()) else {
            return self.say(
                "Chưa có số liệu nào được báo cáo.".to_owned(),
                "No figure has been reported.".to_owned(),
            );
        };
        let reported = Period::try_from(&last.period).ok();
        let (period, value) = (
            reported.map_or_else(String::new, |p| self.period(p)),
            self.amount(&last.value),
        );
        let assessment = &self.assessment;
        let mut so_far = self.so_far(reported);
        let overdue = Period::try_from(&assessment.overdue_period).ok();
        if let Some(overdue) = overdue.map(|overdue| self.period(overdue)) {
            let clause = self.say(
                format!("Số liệu {overdue} đã quá hạn; "),
                format!("The figure of {overdue} is overdue; "),
            );
            if assessment.status() == RiskStatus::Overdue || !self.tells_pace() {
                return clause
                    + &self.say(
                        format!("số mới nhất là {value} ({period})."),
                        format!("the latest is {value} ({period})."),
                    );
            }
            so_far = clause + &uncapital(&so_far);
        }
        match assessment.no_pace_reason() {
            NoPaceReason::Unspecified if self.pace().is_some() => {
                let pace = self.pace().unwrap_or_default();
                let growth = self.growth();
                let (sum, left) = (self.sums(), assessment.remaining_periods);
                let (of_vi, of_en) = self.period_name();
                let (vi, en) = match (sum, left) {
                    (true, 2..) => (
                        format!("mỗi {of_vi} trong {left} {of_vi} còn lại cần bình quân {pace}"),
                        format!(
                            "each of the {left} remaining {of_en}s must bring {pace} on average"
                        ),
                    ),
                    (true, _) => (
                        format!("{of_vi} còn lại cần {pace}"),
                        format!("the remaining {of_en} must bring {pace}"),
                    ),
                    (false, _) => (
                        format!("{of_vi} cuối cần {pace}"),
                        format!("the last {of_en} must show {pace}"),
                    ),
                };
                self.say(
                    format!("{so_far}; {vi}{growth}."),
                    format!("{so_far}; {en}{growth}."),
                )
            }
            NoPaceReason::AlreadyMet => self.say(
                format!("{so_far}, kỳ còn lại không thể làm hụt kế hoạch."),
                format!("{so_far}; nothing that remains can undo that the plan is met."),
            ),
            NoPaceReason::Impossible => self.say(
                format!("{so_far}, các kỳ còn lại không thể bù đủ."),
                format!("{so_far}; nothing that remains can make up for it."),
            ),
            _ => self.say(
                format!("Số mới nhất là {value} ({period})."),
                format!("The latest figure is {value} ({period})."),
            ),
        }
    }

    /// Whether there is something to tell of what the rest must bring.
    fn tells_pace(&self) -> bool {
        match self.assessment.no_pace_reason() {
            NoPaceReason::Unspecified => self.pace().is_some(),
            NoPaceReason::AlreadyMet | NoPaceReason::Impossible => true,
            _ => false,
        }
    }

    /// "Lũy kế đến T10/2026 là 61,2 tỷ đồng"; of what is not summed the last figure.
    fn so_far(&self, reported: Option<Period>) -> String {
        let period = reported.map_or_else(String::new, |p| self.period(p));
        if let Some(sum) = self.sum_so_far(reported) {
            return self.say(
                format!("Lũy kế đến {period} là {sum}"),
                format!("By {period} it came to {sum}"),
            );
        }
        let value = self.amount(&self.item.last_observation.clone().unwrap_or_default().value);
        self.say(
            format!("Số mới nhất là {value} ({period})"),
            format!("The latest figure is {value} ({period})"),
        )
    }

    /// What the target's period, if it is a sum, has brought until its last figure.
    fn sum_so_far(&self, reported: Option<Period>) -> Option<String> {
        let span = Period::try_from(&self.assessment.target.as_ref()?.period).ok()?;
        let (first, last) = span.split(self.indicator.frequency())?;
        let reported = reported.filter(|period| self.sums() && (first..=last).contains(period))?;
        if span.frequency() == Frequency::Year {
            return Some(self.amount(&self.item.year_to_date));
        }
        let history = self.forecast.history.iter().filter_map(|figure| {
            let period = Period::try_from(&figure.period).ok()?;
            (first..=reported)
                .contains(&period)
                .then_some(&figure.value)
        });
        let sum = history.map(|value| value.parse::<Decimal>().ok());
        Some(self.amount(&sum.sum::<Option<Decimal>>()?.to_string()))
    }

    /// What a figure is of, in Vietnamese and English.
    fn period_name(&self) -> (&'static str, &'static str) {
        match self.indicator.frequency() {
            Frequency::Month => ("tháng", "month"),
            Frequency::Quarter => ("quý", "quarter"),
            Frequency::Half => ("nửa năm", "half-year"),
            Frequency::Year | Frequency::Unspecified => ("kỳ", "period"),
        }
    }

    fn sums(&self) -> bool {
        self.indicator.year_rule() == YearRule::Sum
    }

    fn pace(&self) -> Option<String> {
        let (least, most) = (
            &self.assessment.required_pace,
            &self.assessment.required_pace_upper,
        );
        let comparator = self.assessment.target.as_ref()?.comparator();
        if least.is_empty() {
            return None;
        }
        Some(match comparator {
            Comparator::Within if !most.is_empty() && most != least => {
                let (least, most) = (self.number(least), self.amount(most));
                self.say(format!("{least} đến {most}"), format!("{least} to {most}"))
            }
            Comparator::AtMost => {
                let most = self.amount(least);
                self.say(format!("không quá {most}"), format!("no more than {most}"))
            }
            _ => self.amount(least),
        })
    }

    fn growth(&self) -> String {
        let percent = &self.assessment.required_growth_percent;
        // Per cent of per cent would be taken for points, and those of a range are of its lower end.
        let is_range = !self.assessment.required_pace_upper.is_empty();
        if percent.is_empty() || is_range || self.indicator.measure_code.starts_with('%') {
            return String::new();
        }
        let (_, period) = self.period_name();
        let several = match self.assessment.remaining_periods > 1 && self.sums() {
            true => "s",
            false => "",
        };
        let same = format!("the same {period}{several} of last year");
        if percent.parse() == Ok(0.0) {
            return self.say(
                ", xấp xỉ cùng kỳ".to_owned(),
                format!(", about as in {same}"),
            );
        }
        let sign = if percent.starts_with('-') { "" } else { "+" };
        let percent = self.number(percent);
        self.say(
            format!(", tức {sign}{percent}% so với cùng kỳ"),
            format!(", which is {sign}{percent}% on {same}"),
        )
    }
}
