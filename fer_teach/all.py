"Everything a notebook needs: `from fer_teach.all import *`"
from .data import *
from .drawn import *
from .evaluation import *
from .learner import *
from .baselines import *
from .transfer import *
from .scratch import *
from .reduction import *
from .explainability import *
from .learn import *
from .app import *
from fastai.callback.all import *
from fastai.learner import *
