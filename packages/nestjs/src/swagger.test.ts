import { Controller, Get, HttpCode, Module, Post, UseGuards } from '@nestjs/common';
import { ApiBearerAuth, ApiResponse, DocumentBuilder, SwaggerModule } from '@nestjs/swagger';
import { expect, it } from 'vitest';
import { passageForTest, startApp } from './app.fixture.ts';
import { OptionalAuth, PassageGuard, PassageModule, Public } from './index.ts';

@Controller('class')
@UseGuards(PassageGuard)
class GuardedController {
  @Get('guarded')
  guarded() {}

  @Get('optional')
  @OptionalAuth()
  optional() {}

  @Get('public')
  @Public()
  open() {}

  @Get('own')
  @ApiBearerAuth('admin')
  @ApiResponse({ status: 403, description: 'Not an admin' })
  own() {}
}

@Controller('bare')
class BareController {
  @Get('guarded')
  @UseGuards(PassageGuard)
  guarded() {}

  @Get('open')
  open() {}

  @Post('created')
  @UseGuards(PassageGuard)
  created() {}

  @Post('changed')
  @HttpCode(204)
  @UseGuards(PassageGuard)
  changed() {}
}

@Controller('whole')
@UseGuards(PassageGuard)
class WholeController {
  @Get('guarded')
  guarded() {}

  @Post('created')
  created() {}

  helper() {}
}

@Module({ controllers: [GuardedController, BareController, WholeController] })
class ApiModule {}

async function describeApi(global: boolean) {
  const { options } = await passageForTest();
  const { app } = await startApp({ imports: [PassageModule.forRoot({ ...options, global }), ApiModule] });
  const { paths } = SwaggerModule.createDocument(app, new DocumentBuilder().addBearerAuth().build());
  return (path: string) => {
    const { security, responses } = paths[path]?.get ?? paths[path]?.post ?? {};
    return { security, statuses: Object.keys(responses ?? {}), responses };
  };
}

it('tells Swagger about guarded handlers', async () => {
  const api = await describeApi(false);
  const security = [{ bearer: [] }];
  expect(api('/class/guarded')).toMatchObject({ security, statuses: ['200', '401', '403', '503'] });
  expect(api('/bare/guarded')).toMatchObject({ security, statuses: ['200', '401', '403', '503'] });
  expect(api('/whole/guarded')).toMatchObject({ security, statuses: ['200', '401', '403', '503'] });
  expect(api('/whole/created')).toMatchObject({ security, statuses: ['201', '401', '403', '503'] });
  expect(api('/bare/created')).toMatchObject({ security, statuses: ['201', '401', '403', '503'] });
  expect(api('/bare/changed')).toMatchObject({ security, statuses: ['204', '401', '403', '503'] });
  expect(api('/class/optional').security).toEqual([{ bearer: [] }, {}]);
});

it('tells Swagger nothing about open handlers', async () => {
  const api = await describeApi(false);
  expect(api('/class/public')).toMatchObject({ security: undefined, statuses: ['200'] });
  expect(api('/bare/open')).toMatchObject({ security: undefined, statuses: ['200'] });
});

it('leaves alone what the app says itself', async () => {
  const own = (await describeApi(false))('/class/own');
  expect(own.security).toEqual([{ admin: [] }]);
  expect(own.responses).toMatchObject({ 403: { description: 'Not an admin' }, 401: {} });
});

it('describes all handlers where the guard is global', async () => {
  const api = await describeApi(true);
  expect(api('/class/public').security).toBeUndefined();
  expect(api('/class/guarded').security).toEqual([{ bearer: [] }]);
});
