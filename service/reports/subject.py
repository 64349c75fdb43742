"""Reports, as the service's list of subjects has them."""

from outbox import Kinds
from service.reports.kinds import BUILD_REPORT, REPORT_LAST_MONTH
from service.reports.models import Report
from service.reports.schedule import MONTHLY
from service.subject import Subject

REPORTS = Subject(
    kinds=Kinds(BUILD_REPORT, REPORT_LAST_MONTH),
    models=(Report,),
    schedules=(MONTHLY,),
    actors="actors.reports",
    routes="service.reports.routes",
)
