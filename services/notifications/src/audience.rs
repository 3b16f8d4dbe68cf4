//! Who must hear of something. Pure, over the directory.

use chassis::Directory;
use uuid::Uuid;

/// The people of a unit who hold a permission there: who work in it or below, or hold the permission on exactly this
/// unit. Whoever holds it city-wide, or for a field, is not told of every unit's business.
pub fn of_unit(
    directory: &Directory,
    permission: &str,
    unit: Uuid,
    field: Option<&str>,
) -> Vec<Uuid> {
    let subtree = directory.subtree(unit);
    let mut people = directory.persons_with(permission, unit, field);
    people.retain(|person| {
        let id = person.to_string();
        let works_there = directory
            .principal(&id)
            .and_then(|principal| principal.home_unit)
            .is_some_and(|home| subtree.contains(&home));
        let is_named = || {
            directory.grants_of(&id).iter().any(|grant| {
                grant.unit_id == unit
                    && directory
                        .role(&grant.role)
                        .is_some_and(|role| role.permissions.contains(permission))
            })
        };
        works_there || is_named()
    });
    people
}

#[cfg(test)]
mod tests {
    use chassis::testing::City;
    use proto::identity::v1::UnitKind;

    use super::*;

    #[test]
    fn only_a_units_own_people_are_told() {
        let mut city = City::new();
        let ward = city.unit("W1", UnitKind::Ward, Some(city.root));
        let other = city.unit("W2", UnitKind::Ward, Some(city.root));
        let department = city.unit("D", UnitKind::Department, Some(city.root));
        city.role("head", &["a.answer"]);
        city.role("clerk", &["a.read"]);
        let root = city.root;
        let mut person = |home, role: &str, unit, fields: &[&str]| {
            let id = city.person("x", home);
            city.grant(&id, role, unit, fields);
            id.parse::<Uuid>().unwrap()
        };
        let head = person(ward, "head", ward, &[]);
        let on_loan = person(other, "head", ward, &[]);
        person(ward, "clerk", ward, &[]);
        person(other, "head", other, &[]);
        person(department, "head", department, &["T06"]);
        person(root, "head", root, &[]);
        let mut expected = vec![head, on_loan];
        expected.sort_unstable();
        let directory = city.directory();
        assert_eq!(of_unit(&directory, "a.answer", ward, Some("T06")), expected);
    }
}
