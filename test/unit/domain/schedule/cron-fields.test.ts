import { describe, expect, test } from '@jest/globals';
import { parseCronFields, type CronFields } from '../../../../src/domain/schedule/cron-fields.ts';

const ALL = {
  minutes: Array.from({ length: 60 }, (_, minute) => minute),
  hours: Array.from({ length: 24 }, (_, hour) => hour),
  months: Array.from({ length: 12 }, (_, month) => month + 1),
};

describe('what CronJob takes', () => {
  test.each<[string, Partial<CronFields>]>([
    ['* * * * *', { ...ALL, daysOfMonth: null, daysOfWeek: null }],
    ['? ? ? ? ?', { ...ALL, daysOfMonth: null, daysOfWeek: null }],
    ['5 4 * * *', { minutes: [5], hours: [4] }],
    ['*/20 */12 * * *', { minutes: [0, 20, 40], hours: [0, 12] }],
    ['*/15 2 * * *', { minutes: [0, 15, 30, 45], hours: [2] }],
    ['50/4 22/1 * * *', { minutes: [50, 54, 58], hours: [22, 23] }],
    ['30,10,10-12 5-9/2 * * *', { minutes: [10, 11, 12, 30], hours: [5, 7, 9] }],
    ['0 0 1,15 jan,Dec *', { daysOfMonth: [1, 15], months: [1, 12], daysOfWeek: null }],
    ['0 0 * * mon-fri', { daysOfMonth: null, daysOfWeek: [1, 2, 3, 4, 5] }],
    ['0 0 1-31 * SUN', { daysOfMonth: Array.from({ length: 31 }, (_, day) => day + 1), daysOfWeek: [0] }],
    ['0 0 */1 * 5', { daysOfMonth: null, daysOfWeek: [5] }],
    ['0 0 3,* * 5', { daysOfMonth: null, daysOfWeek: [5] }],
    ['0 0 */2 * 5', { daysOfMonth: [1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31] }],
    ['*/100 007 * * *', { minutes: [0], hours: [7] }],
    ['  0  6  *  *  * ', { minutes: [0], hours: [6] }],
  ])('%s', (text, fields) => {
    expect(parseCronFields(text)).toMatchObject({ ok: true, fields });
  });
});

describe('what it refuses', () => {
  test.each<[string, string]>([
    ['TZ=UTC 0 * * * *', 'has a time zone: remove it and set spec.checkpoint.timeZone'],
    ['CRON_TZ=Europe/Berlin 0 * * * *', 'has a time zone: remove it and set spec.checkpoint.timeZone'],
    ['@hourly', 'write five fields instead of @hourly, such as "0 * * * *" for every hour'],
    ['@every 1h', 'write five fields instead of @every 1h, such as "0 * * * *" for every hour'],
    ['0 0 * * * *', 'has 6 fields: write five, minute hour day month weekday, such as "0 */6 * * *"'],
    ['', 'has 0 fields: write five, minute hour day month weekday, such as "0 */6 * * *"'],
    ['60 * * * *', '"60" is no minute: use 0 to 59, "*", a range as 0-59, or a step as */2'],
    ['0 24 * * *', '"24" is no hour: use 0 to 23, "*", a range as 0-23, or a step as */2'],
    ['0 0 0 * *', '"0" is no day of month: use 1 to 31, "*", a range as 1-31, or a step as */2'],
    ['0 0 L * *', '"L" is no day of month: use 1 to 31, "*", a range as 1-31, or a step as */2'],
    ['0 0 * 13 *', '"13" is no month: use 1 to 12 (or JAN to DEC), "*", a range as 1-12, or a step as */2'],
    ['0 0 * * 7', '"7" is no day of week: use 0 to 6 (or SUN to SAT), "*", a range as 0-6, or a step as */2'],
    [
      '0 0 * * FRI-MON',
      '"FRI-MON" is no day of week: use 0 to 6 (or SUN to SAT), "*", a range as 0-6, or a step as */2',
    ],
    ...['*/0', '1/2/3', '1-2-3', '1,', ',', '-5', '*-5', 'x', '1.5', '5-1', '/5', '1-'].map(
      (minute): [string, string] => [
        `${minute} * * * *`,
        `"${minute.includes(',') ? '' : minute}" is no minute: use 0 to 59, "*", a range as 0-59, or a step as */2`,
      ],
    ),
  ])('%s', (text, problem) => {
    expect(parseCronFields(text)).toEqual({ ok: false, problem });
  });
});
