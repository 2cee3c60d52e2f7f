// A label selector as the query of a list request, as kubectl's -l. Pure.
import type { LabelSelector, LabelSelectorRequirement } from '../../api/label-selector.ts';

/** Empty for a selector that matches everything. Source: k8s.io/apimachinery pkg/labels, the grammar of selectors. */
export function printLabelSelector({ matchLabels = {}, matchExpressions = [] }: LabelSelector): string {
  return [
    ...Object.entries(matchLabels).map(([key, value]) => `${key}=${value}`),
    ...matchExpressions.map(printRequirement),
  ].join(',');
}

function printRequirement({ key, operator, values = [] }: LabelSelectorRequirement): string {
  switch (operator) {
    case 'In':
      return `${key} in (${values.join(',')})`;
    case 'NotIn':
      return `${key} notin (${values.join(',')})`;
    case 'Exists':
      return key;
    case 'DoesNotExist':
      return `!${key}`;
  }
}
