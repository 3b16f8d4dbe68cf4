//! What would be if the coming figures were as supposed.

use proto::{
    forecasting::v1 as pb,
    indicators::v1::{Observation, Vintage},
    period::Period,
};

use crate::{assess::Basis, error::Error};

/// Figures that can be supposed.
const MOST: usize = 24;

/// Coming figures in their order.
#[derive(Clone, Debug, PartialEq)]
pub struct Scenario(Vec<(Period, String)>);

impl Scenario {
    /// Reads what is supposed; `read_value` checks a decimal.
    pub fn read(
        request: &pb::TryScenarioRequest,
        read_value: impl Fn(&str) -> Result<f64, Error>,
    ) -> Result<Self, Error> {
        let (periods, values) = (&request.periods, &request.values);
        if !(1..=MOST).contains(&periods.len()) || periods.len() != values.len() {
            return Err(Error::Invalid {
                field: "values",
                vi: "phải có 1 đến 24 kỳ, mỗi kỳ một giá trị",
                en: "must be 1 to 24, one for each of the periods",
            });
        }
        let supposed = periods.iter().zip(values).map(|(period, value)| {
            let period = period.parse().map_err(|_| Error::Invalid {
                field: "periods",
                vi: "phải là các kỳ như 2026-11",
                en: "must be periods such as 2026-11",
            })?;
            read_value(value).map_err(|_| Error::Invalid {
                field: "values",
                vi: "phải là các số thập phân như 8.03",
                en: "must be decimals such as 8.03",
            })?;
            Ok((period, value.clone()))
        });
        supposed.collect::<Result<_, Error>>().map(Self)
    }

    /// Adds what is supposed to a basis, as if it had been reported.
    pub fn suppose(self, basis: &mut Basis) -> Result<(), Error> {
        let last = basis.history.last();
        let mut last = last.and_then(|figure| Period::try_from(&figure.period).ok());
        for (period, value) in self.0 {
            if last.map(Period::next) != Some(period) {
                return Err(Error::Invalid {
                    field: "periods",
                    vi: "phải nối tiếp kỳ số liệu cuối cùng, không bỏ kỳ nào",
                    en: "must follow the last figure one by one",
                });
            }
            last = Some(period);
            let mut figure = Observation {
                period: Some(period.into()),
                value,
                ..Default::default()
            };
            figure.set_vintage(Vintage::Estimate);
            basis.history.push(figure);
        }
        Ok(())
    }
}
