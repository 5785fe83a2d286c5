from tests.support.shared_workplaces import code as code
from tests.support.shared_workplaces import continued as continued
from tests.support.shared_workplaces import finished as finished
from tests.support.shared_workplaces import server as server
from tests.support.shared_workplaces import workplace as workplace
