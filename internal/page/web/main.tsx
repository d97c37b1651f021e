// The page's program: reads the model out of the file and draws it.
import { render } from 'preact';
import { Deployment } from './deployment';
import { LessonsPage } from './lessons';
import type { Model } from './model';

const model = JSON.parse(document.getElementById('model')!.textContent!) as Model;
render(model.lessons ? <LessonsPage lessons={model.lessons} /> : <Deployment first={model} />, document.getElementById('page')!);
