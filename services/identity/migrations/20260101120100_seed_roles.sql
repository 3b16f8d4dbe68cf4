INSERT INTO role (code, name_vi, name_en, permissions, may_grant) VALUES
('city_leader', 'Lãnh đạo Thành phố', 'City leader',
    '{indicators.read,forecasting.read,explanations.read,explanations.request,explanations.review,feedback.read,feedback.direct}', '{}'),
('unit_head', 'Lãnh đạo đơn vị', 'Head of a unit',
    '{indicators.read,indicators.approve,forecasting.read,explanations.read,explanations.answer,feedback.read,feedback.answer}', '{}'),
('reporting_officer', 'Chuyên viên nhập liệu', 'Reporting officer',
    '{indicators.read,indicators.submit,forecasting.read,explanations.read}', '{}'),
('approver', 'Người duyệt', 'Approver',
    '{indicators.read,indicators.approve,forecasting.read,explanations.read}', '{}'),
('statistician', 'Thống kê viên', 'Statistician',
    '{indicators.read,indicators.accept,indicators.define,indicators.plan,indicators.publish,forecasting.read,explanations.read}', '{}'),
('operator_1022', 'Tổng đài viên 1022', '1022 operator',
    '{feedback.read,feedback.dispatch,feedback.read_contacts}', '{}'),
('dispatcher', 'Điều phối viên', 'Dispatcher', '{feedback.read,feedback.dispatch}', '{}'),
('case_officer', 'Chuyên viên xử lý', 'Case officer',
    '{feedback.read,feedback.answer,feedback.read_contacts}', '{}'),
('inspector', 'Thanh tra', 'Inspector',
    '{indicators.read,forecasting.read,explanations.read,feedback.read,audit.read}', '{}'),
('security_officer', 'Cán bộ an toàn thông tin', 'Security officer', '{audit.read,identity.manage_accounts}', '{}'),
('unit_admin', 'Quản trị đơn vị', 'Unit administrator', '{identity.manage_accounts,identity.manage_grants}',
    '{unit_head,reporting_officer,approver,operator_1022,dispatcher,case_officer,citizen}'),
('platform_admin', 'Quản trị nền tảng', 'Platform administrator',
    '{identity.manage_units,identity.manage_accounts,identity.manage_grants,indicators.define,indicators.publish,forecasting.configure,feedback.configure,notifications.operate,platform.operate,events.subscribe}',
    '{city_leader,unit_head,reporting_officer,approver,statistician,operator_1022,dispatcher,case_officer,inspector,security_officer,unit_admin,integrator,citizen}'),
('integrator', 'Đơn vị tích hợp', 'Integrator', '{indicators.read,indicators.submit,events.subscribe}', '{}'),
('citizen', 'Người dân, doanh nghiệp', 'Citizen or business', '{}', '{}'),
('mesh', 'Dịch vụ của hệ thống', 'Service of the mesh',
    '{mesh.call,events.subscribe,indicators.read,forecasting.read,explanations.read,feedback.read,identity.read_contacts}', '{}'),
('installer', 'Bộ cài đặt', 'Installer',
    '{mesh.call,identity.manage_units,identity.manage_accounts,identity.manage_grants,identity.read_contacts,audit.read,indicators.read,indicators.submit,indicators.approve,indicators.accept,indicators.define,indicators.plan,indicators.publish,forecasting.read,forecasting.configure,explanations.read,explanations.request,explanations.answer,explanations.review,feedback.read,feedback.dispatch,feedback.answer,feedback.direct,feedback.read_contacts,feedback.configure,notifications.operate,platform.operate,events.subscribe}', '{}');

-- The services of the mesh. They are let in once their secrets are set (--clients-file); the grants cover everything.
INSERT INTO client (id, display_name, redirect_uris, is_service) VALUES
('identity', 'identity', '{}', true),
('indicators', 'indicators', '{}', true),
('forecasting', 'forecasting', '{}', true),
('explanations', 'explanations', '{}', true),
('feedback', 'feedback', '{}', true),
('notifications', 'notifications', '{}', true),
('gateway', 'gateway', '{"{public_url}/auth/callback"}', true),
('civicmesh', 'civicmesh', '{}', true),
-- A program on the user's own machine (RFC 8252): it has no secret, its port varies.
('cli', 'Command line', '{"http://127.0.0.1/callback","http://localhost/callback"}', false);

INSERT INTO role_grant (id, principal_id, role, unit_id, field_codes, valid_from)
SELECT gen_random_uuid(), id, CASE id WHEN 'civicmesh' THEN 'installer' ELSE 'mesh' END,
    '00000000-0000-0000-0000-000000000000', '{}', '2025-01-01'
FROM client WHERE is_service;
